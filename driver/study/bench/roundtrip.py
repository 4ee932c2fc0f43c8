"""Round trips to the driver alone, with the null model, and to the minimal client."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from ...errors import RunError
from ...run.processes import environment
from ...server.wire.messages import header, int32
from . import minimal_client as minimal
from .simulation import NULL_MODEL

__all__ = ["DRIVER", "MINIMAL_CLIENT", "RoundTrip"]

DRIVER, MINIMAL_CLIENT = "driver alone", "bare client"
MAX_WAIT_S = 300.0


class RoundTrip:
    """From a request to its answer, as i-PI would send and read them.

    Args:
        folder: an empty one, with a short path.
        atoms: the structure.
        beads: structures in a request.
        repeats: requests in one measurement.
        minimal_client: measure a client that only reads and answers, not halfkick.
    """

    def __init__(
        self, folder: Path, atoms: Atoms, beads: int, repeats: int, *, minimal_client: bool = False
    ) -> None:
        self.name = f"{MINIMAL_CLIENT if minimal_client else DRIVER}, {len(atoms)} atoms x {beads}"
        self._beads = beads
        self._repeats = repeats
        self._rng = np.random.default_rng(0)
        self._positions = np.repeat(atoms.positions[None], beads, axis=0)
        folder.mkdir()
        ase.io.write(folder / "init.xyz", atoms)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "s"))
            listener.listen()
            listener.settimeout(MAX_WAIT_S)
            if minimal_client:
                command = [minimal.__name__, "s", str(len(atoms)), str(beads)]
            else:
                command = ["halfkick.driver", "serve", "--unix", "s", "--prefix", f"{folder}/"]
                command.append("--allow-code")  # the model without costs is a function
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=folder,
                env=environment(None),
                stderr=subprocess.DEVNULL,
            )
            try:
                self._socket, _ = listener.accept()
            except TimeoutError as error:
                self._process.kill()
                raise RunError("expected the driver to connect, got nothing") from error
        self._socket.settimeout(None)
        self._file = self._socket.makefile("rb")
        self._init()

    def measure(self) -> list[float]:
        """Ask; ms for each structure."""
        cells = np.tile(100.0 * np.eye(3), (self._beads, 2, 1, 1))
        count = int32(self._positions.shape[1])
        # a batch sends the number of atoms first, a single structure its cell
        start = [cells.tobytes(), count] if self._beads == 1 else [count, cells.tobytes()]
        size = 12 + 4 + self._beads * (8 + 8 * self._positions[0].size + 72 + 4)
        times = []
        for _ in range(self._repeats):
            self._positions += self._rng.normal(scale=1e-3, size=self._positions.shape)
            parts = [header("POSDATA"), *start, self._positions.tobytes(), header("GETFORCE")]
            message = b"".join(parts)
            begin = time.perf_counter()
            self._socket.sendall(message)
            self._file.read(size)
            times.append(1e3 * (time.perf_counter() - begin) / self._beads)
            self._status()
        return times

    def close(self) -> None:
        """End the driver."""
        self._socket.sendall(header("EXIT"))
        self._process.wait()
        self._file.close()
        self._socket.close()

    def _init(self) -> None:
        parameters = f"model: {NULL_MODEL}, role: direct, template: init.xyz"
        if self._beads > 1:
            parameters += f", batch_size:{self._beads}"
        self._status()
        text = int32(0) + int32(len(parameters)) + parameters.encode()
        self._socket.sendall(header("INIT") + text)
        self._status()

    def _status(self) -> None:
        self._socket.sendall(header("STATUS"))
        self._file.read(12)
