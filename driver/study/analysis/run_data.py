"""All that an i-PI run left behind: its columns and its trajectories, in eV, Å, ps, K and amu."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, RunError
from ...ipi.input import IpiInput
from ...ipi.properties import read_columns, read_properties
from ...ipi.start import StartAtoms
from ...ipi.trajectories import read_frames, step_of
from ...run.folder import find_input
from ...run.job import Job, describe
from ...run.systems import RunSystem, names_of, systems_of

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Frames", "Run", "open_groups", "open_run", "open_runs"]

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
    """A system of a run that is over, or still goes on.

    Attributes:
        label: what to call it.
        job: what was run.
        system: the one of its systems that this is about.
        skip_ps: what is left out at the start.
    """

    label: str
    job: Job
    system: RunSystem
    skip_ps: float = 0.0
    _read_before: dict[tuple[str, ...], Frames | None] = field(default_factory=dict, repr=False)

    @cached_property
    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Name -> values, shape (rows,), of the properties file; names as i-PI writes them."""
        columns = read_columns(self.system.properties)
        if "time" in columns:
            kept = columns["time"] >= self.skip_ps - ROUNDING
            columns = {name: column[kept] for name, column in columns.items()}
        return columns

    def frames(self, *kinds: str) -> Frames | None:
        """The first trajectory of one of these kinds (``positions``, ``velocities``, …) on disk."""
        if kinds not in self._read_before:
            trajectories = (t for kind in kinds for t in self.system.trajectories(kind))
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

    def named(self, label: str) -> str:
        """The label of the job as that of this system."""
        systems = self.job.systems
        if len(systems) == 1:
            return label
        return f"{label} {names_of(systems)[systems.index(self.system)]}"

    @property
    def ensemble(self) -> str:
        """What i-PI calls it: ``nve``, ``nvt``, ``npt`` and so on."""
        return self.system.system.ensemble.mode

    @property
    def target_K(self) -> float:
        """The temperature of the ensemble; NaN at constant energy, or if it changes."""
        target = self.system.target_K
        return float("nan") if target is None else target

    @property
    def beads(self) -> int:
        """Beads of the ring polymer."""
        return self.system.system.beads

    @cached_property
    def masses(self) -> NDArray[np.float64] | None:
        """Masses of the atoms, amu, shape (N,); ``None`` if nothing tells them.

        Those that i-PI starts from; where they cannot be read any more, those of its RESTART.
        """
        atoms = self.system.atoms or self._atoms_of_restart()
        return None if atoms is None else atoms.masses_amu

    @cached_property
    def degrees_of_freedom(self) -> int:
        """Of all atoms together, as i-PI counts them: the masses do not matter for it."""
        of_atoms = self.system.system.degrees_of_freedom(np.ones(self.system.n_atoms or 1))
        return round(float(of_atoms.sum()))

    @cached_property
    def timestep_ps(self) -> float:
        """The outer step; 1 where there is no time, so that steps count."""
        dynamics = self.system.system.dynamics
        return 1.0 if dynamics is None else 1e-3 * dynamics.timestep_fs

    def _atoms_of_restart(self) -> StartAtoms | None:
        try:
            systems = systems_of(IpiInput.read(self.job.files.restart))
        except InputError:
            return None
        index = self.job.systems.index(self.system)
        return systems[index].atoms if index < len(systems) else None

    def _completed(self, frames: list[Atoms]) -> list[Atoms]:
        """The frames, of which i-PI writes neither masses nor what is not periodic."""
        for frame in frames:
            if self.masses is not None and len(frame) == len(self.masses):
                frame.set_masses(self.masses)
            if frame.pbc.all():
                frame.pbc = self.system.periodic
        return frames

    def _read(self, paths: Sequence[Path]) -> Frames | None:
        beads = [self._completed(read_frames(path)) for path in paths]
        complete = min(len(frames) for frames in beads)
        steps = [step_of(frame) for frame in beads[0][:complete]]
        times = np.array(steps) * self.timestep_ps
        kept = np.flatnonzero(times >= self.skip_ps - ROUNDING)
        if len(kept) == 0:
            return None
        return Frames(times[kept], [[frames[i] for i in kept] for frames in beads])


def open_runs(path: Path, *, skip_ps: float = 0.0) -> list[Run]:
    """Open a folder or an input file: all of its systems.

    Raises:
        InputError: if it is neither, or nothing was run there.
        RunError: if energies or temperatures are no numbers.
    """
    job = describe(find_input(path))
    runs = [Run(job.folder.resolve().name, job, system, skip_ps) for system in job.systems]
    runs = [replace(run, label=run.named(run.label)) for run in runs]
    if not all(run.columns and len(next(iter(run.columns.values()))) for run in runs):
        raise InputError(
            f"expected a properties file with rows in '{job.folder}', got none; "
            f"run it first, or choose a smaller --skip"
        )
    for system in job.systems:
        fault = read_properties(system.properties).fault
        if fault is not None:
            raise RunError(f"'{job.folder}': {fault}")
    return runs


def open_run(path: Path, *, skip_ps: float = 0.0) -> Run:
    """Open a folder or an input file: its first system.

    Raises:
        InputError: if it is neither, or nothing was run there.
    """
    return open_runs(path, skip_ps=skip_ps)[0]


def open_groups(paths: Iterable[Path], *, skip_ps: float = 0.0) -> list[list[Run]]:
    """Open runs of one kind: for each of their systems, that of all of them.

    Raises:
        InputError: if one is none, or they have other systems.
    """
    opened = [open_runs(path, skip_ps=skip_ps) for path in paths]
    counts = {len(runs) for runs in opened}
    if len(counts) > 1:
        raise InputError(
            "expected as many systems in each run to be taken together, got "
            f"{' and '.join(map(str, sorted(counts)))}; give the runs apart"
        )
    return [list(same) for same in zip(*opened, strict=True)]
