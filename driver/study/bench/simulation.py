"""A simulation under test: i-PI, and the processes that serve it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import RunError
from ...run.die_with_parent import wrap_command
from ...run.processes import Machine, environment
from .inputs import Base, Setup
from .stepper import REPLY

__all__ = ["BACKENDS", "IPI_ONLY", "NULL_BACKEND", "NULL_MODEL", "SimulationUnderTest"]

NULL_MODEL = "python:halfkick.driver.study.bench.null_model:NullModel"

BACKENDS = HALFKICK, FFDIRECT, TWO_DRIVERS = "halfkick", "ffdirect", "two drivers"
"""This driver; i-PI's metatomic driver inside i-PI; and as one process for each force field."""
NULL_BACKEND = "costless"
"""halfkick with the null model."""
IPI_ONLY = "i-PI"
"""i-PI with forces that cost nothing."""

WARM_UP_STEPS = {"mts": 2, "direct": 12, "conservative": 6}
"""Steps before the clock starts: TorchScript takes its time in the first passes."""

MAX_WAIT_S = 900.0
MAX_STEPS = 100


class SimulationUnderTest:
    """A simulation that advances when it is measured, and sleeps (SIGSTOP) while others are.

    Args:
        backend: what serves it: one of BACKENDS, NULL_BACKEND or IPI_ONLY.
        base: the input.
        setup: the simulation.
        folder: an empty one, with a short path: it holds the sockets.
        machine: device and threads of the model.
        seconds: about how long one measurement may take.

    Attributes:
        name: the backend's.
        cpu_ms: CPU time of all its processes for a step of the last measurement.
    """

    def __init__(
        self,
        backend: str,
        base: Base,
        setup: Setup,
        folder: Path,
        machine: Machine,
        seconds: float,
    ) -> None:
        self.name = backend
        self._folder = folder
        self._machine = machine
        self._seconds = seconds
        self._steps = WARM_UP_STEPS[setup.mode]
        folder.mkdir()
        file = str(_model_file(base.model)) if backend in (FFDIRECT, TWO_DRIVERS) else ""
        models = {NULL_BACKEND: NULL_MODEL, IPI_ONLY: "dummy", FFDIRECT: f"metatomic {file}"}
        base.write(folder, setup, models.get(backend))
        stepper = [sys.executable, "-m", "halfkick.driver.study.bench.stepper", "input.xml"]
        if backend in (HALFKICK, NULL_BACKEND):  # as `halfkick run` starts i-PI
            stepper = wrap_command(stepper, batch=True)
        self._processes = [self._start(stepper, piped=True)]
        roles = ["direct", "conservative"] if setup.mode == "mts" else [setup.mode]
        self._start_drivers(backend, roles, file)

    def _start_drivers(self, backend: str, roles: Sequence[str], file: str) -> None:
        if backend in (HALFKICK, NULL_BACKEND):
            command = [sys.executable, "-m", "halfkick.driver", "serve", "input.xml"]
            command += ["--device", self._machine.device]
            if self._machine.threads is not None:
                command += ["--threads", str(self._machine.threads)]
            self._processes.append(self._start(command))
        if backend == TWO_DRIVERS:
            script = str(Path(sysconfig.get_path("scripts"), "i-pi-py_driver"))
            for role in roles:
                self._until((self._folder / role).exists)
                options = f"template=init.xyz,model={file},device={self._machine.device}"
                options += ",non_conservative=True" if role == "direct" else ""
                command = [sys.executable, script, "-u", "-a", role, "-S", f"{self._folder}/"]
                self._processes.append(self._start([*command, "-m", "metatomic", "-o", options]))

    def measure(self) -> list[float]:
        """Advance by some steps; the time of each in ms. The first time only to get warm.

        The first step is left out: caches and threads have to wake up.
        """
        begin_s = self._cpu_s()
        self._signal(signal.SIGCONT)
        times_s = self._advance(self._steps)
        self._signal(signal.SIGSTOP)
        self.cpu_ms = 1e3 * (self._cpu_s() - begin_s) / self._steps
        self._steps = max(2, min(MAX_STEPS, round(self._seconds / min(times_s))))
        return [1e3 * t for t in times_s[1:]]

    def memory_mb(self) -> float:
        """Resident memory of what serves it (the last process), MB."""
        status = Path(f"/proc/{self._processes[-1].pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def _cpu_s(self) -> float:
        """CPU time of all its processes so far."""
        stats = [Path(f"/proc/{process.pid}/stat").read_text() for process in self._processes]
        ticks = [sum(map(int, stat.rpartition(")")[2].split()[11:13])) for stat in stats]
        return sum(ticks) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _advance(self, steps: int) -> list[float]:
        """Have i-PI do some steps; the time of each in s."""
        ipi = self._processes[0]
        assert ipi.stdin is not None and ipi.stdout is not None  # it was started with pipes
        commands, replies = ipi.stdin, ipi.stdout
        commands.write(f"{steps}\n".encode())
        commands.flush()
        reply = b""

        def replied() -> bool:
            nonlocal reply
            if select.select([replies], [], [], 0.5)[0]:
                reply = replies.readline()
            return reply.startswith(REPLY.encode())

        self._until(replied)
        return json.loads(reply.removeprefix(REPLY.encode()))

    def _until(self, ready: Callable[[], bool]) -> None:
        """Wait for something, as long as all processes live."""
        end = time.monotonic() + MAX_WAIT_S
        while not ready():
            dead = [p for p in self._processes if p.poll() is not None]
            if dead or time.monotonic() > end:
                log = (self._folder / "log").read_text()[-2000:]
                what = "its end" if dead else "no answer"
                raise RunError(f"expected '{self.name}' to run, got {what}: {log}")
            time.sleep(0.01)

    def _signal(self, number: signal.Signals) -> None:
        """Stop i-PI before, and wake it after those that it talks to."""
        processes = self._processes if number == signal.SIGSTOP else self._processes[::-1]
        for process in processes:
            process.send_signal(number)
            time.sleep(0.02)

    def _start(self, command: list[str], *, piped: bool = False) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._folder,
                env=environment(self._machine.threads),
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
            )


def _model_file(model: str) -> Path:
    """The file of a metatomic model."""
    from ....models.load import find_file

    return find_file(model).resolve()
