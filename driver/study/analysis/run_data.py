"""All that an i-PI run left behind: its columns and its trajectories, in eV, Å, ps, K and amu."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, RunError
from ...ipi.input import IpiInput
from ...ipi.properties import read_columns, read_properties
from ...ipi.trajectories import read_frames, step_of
from ...run.folder import find_input
from ...run.job import Job, describe

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Frames", "Run", "open_run"]

READABLE = (".xyz", ".extxyz")
ROUNDING = 1e-9  # ps


@dataclass(frozen=True, eq=False)
class Frames:
    """A trajectory.

    Attributes:
        times: ps, shape (frames,).
        beads: for each bead its frames, as ASE reads them.
    """

    times: NDArray[np.float64]
    beads: list[list[Atoms]]

    def array(self, name: str) -> NDArray[np.float64]:
        """An array of all frames of the first bead, shape (frames, N, 3)."""
        return np.array([frame.arrays[name] for frame in self.beads[0]])


@dataclass(frozen=True, eq=False)
class Run:
    """A run that is over, or still goes on.

    Attributes:
        label: what to call it.
        skip_ps: what is left out at the start.
    """

    label: str
    job: Job
    skip_ps: float = 0.0
    _read_before: dict[tuple[str, ...], Frames | None] = field(default_factory=dict, repr=False)

    @cached_property
    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Name -> values, shape (rows,), of the properties file; names as i-PI writes them."""
        columns = read_columns(self.job.properties)
        if "time" in columns:
            kept = columns["time"] >= self.skip_ps - ROUNDING
            columns = {name: column[kept] for name, column in columns.items()}
        return columns

    def frames(self, *kinds: str) -> Frames | None:
        """The first trajectory of one of these kinds (``positions``, ``velocities``, …) on disk."""
        if kinds not in self._read_before:
            trajectories = (t for kind in kinds for t in self.source.files.trajectories(kind))
            readable = ([p for p in t if p.suffix in READABLE] for t in trajectories)
            found = next(filter(None, readable), None)
            self._read_before[kinds] = None if found is None else self._read(found)
        return self._read_before[kinds]

    def positions(self) -> list[Atoms]:
        """The frames of the first bead.

        Raises:
            RunError: if it wrote none.
        """
        frames = self.frames("positions")
        if frames is None:
            raise RunError(f"expected frames of positions in '{self.job.folder}', got none")
        return frames.beads[0]

    @property
    def source(self) -> IpiInput:
        """The input."""
        return self.job.source

    @property
    def ensemble(self) -> str:
        """What i-PI calls it: ``nve``, ``nvt``, ``npt`` and so on."""
        return self.source.ensemble.mode

    @property
    def target_K(self) -> float:
        """The temperature of the ensemble; NaN at constant energy."""
        aimed = self.source.ensemble
        if aimed.mode == "nve" or aimed.temperature_K is None:
            return float("nan")
        return aimed.temperature_K

    @property
    def beads(self) -> int:
        """Beads of the ring polymer."""
        return self.source.beads

    @cached_property
    def timestep_ps(self) -> float:
        """The outer step; 1 where there is no time, so that steps count."""
        step = self.source.timestep_fs
        return 1.0 if step is None else 1e-3 * step

    def _read(self, paths: Sequence[Path]) -> Frames | None:
        beads = [read_frames(path) for path in paths]
        complete = min(len(frames) for frames in beads)
        steps = [step_of(frame) for frame in beads[0][:complete]]
        times = np.array(steps) * self.timestep_ps
        kept = np.flatnonzero(times >= self.skip_ps - ROUNDING)
        if len(kept) == 0:
            return None
        return Frames(times[kept], [[frames[i] for i in kept] for frames in beads])


def open_run(path: Path, *, skip_ps: float = 0.0) -> Run:
    """Open a folder or an input file.

    Raises:
        InputError: if it is neither, or nothing was run there.
        RunError: if energies or temperatures are no numbers.
    """
    job = describe(find_input(path))
    run = Run(job.folder.resolve().name, job, skip_ps)
    if not run.columns or not len(next(iter(run.columns.values()))):
        raise InputError(
            f"expected a properties file with rows in '{job.folder}', got none; "
            f"run it first, or choose a smaller --skip"
        )
    fault = read_properties(job.properties).fault
    if fault is not None:
        raise RunError(f"'{job.folder}': {fault}")
    return run
