"""One run as a film shows it: which row and which frame stand for a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...ipi.structures import read_structures
from ...run.folder import find_input
from ...run.job import Job, describe, labels_of
from ...run.systems import RunSystem
from ...run.wall_time import read_wall_time
from ..analysis.run_data import ROUNDING, Frames, Run

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["By", "Take", "open_takes"]


By = Literal["time", "wall"]
"""The clock that all runs of a film share."""


@dataclass(frozen=True, eq=False)
class Take:
    """A system of a run: its rows up to the first number that is none, and its frames.

    Attributes:
        label: what to call it.
        frames: positions.
        periodic: directions of the cell that are, shape (3,).
        times: of the rows, ps, shape (rows,).
        wall_s: what the run had taken then, shape (rows,); ``None`` if nothing tells.
        change: of the conserved quantity since the first row, meV/atom, shape (rows,); ``None`` if
            it is not written, or lacks an energy.
        temperature: K, shape (rows,); ``None`` if it is not written.
        ending: how it ended; empty if it goes on.
        has_failed: whether that was before its steps were done.
    """

    label: str
    frames: Frames
    periodic: NDArray[np.bool_]
    times: NDArray[np.float64]
    wall_s: NDArray[np.float64] | None
    change: NDArray[np.float64] | None
    temperature: NDArray[np.float64] | None
    ending: str
    has_failed: bool

    def end(self, by: By) -> float:
        """Where its clock stops: ps, or s of wall time."""
        return float(self._clock(by)[-1])

    def is_over(self, now: float, by: By) -> bool:
        """Whether it had ended when the clock showed ``now``."""
        return bool(self.ending) and now >= self.end(by)

    def row(self, now: float, by: By) -> int:
        """The last row that was there when the clock showed ``now``."""
        return _last(self._clock(by), now)

    def beads(self, now: float, by: By) -> list[Atoms]:
        """The last frame that was there then, of each bead."""
        time_ps = float(np.interp(now, self._clock(by), self.times))
        index = _last(self.frames.times, time_ps)
        return [frames[index] for frames in self.frames.beads]

    def _clock(self, by: By) -> NDArray[np.float64]:
        """Of the rows, ascending."""
        if by == "time":
            return self.times
        if self.wall_s is None:
            raise InputError(
                f"expected wall times of '{self.label}', found none in i-pi.log or summary.json; "
                f"start it with halfkick run, or leave out --by wall"
            )
        return self.wall_s


def _last(times: NDArray[np.float64], now: float) -> int:
    """Index of the last one that is not after ``now``; 0 if none is."""
    return max(int(np.searchsorted(times, now + ROUNDING, "right")) - 1, 0)


def open_takes(paths: Sequence[Path], labels: Sequence[str] | None = None) -> list[Take]:
    """Open folders or input files: all of their systems.

    Args:
        paths: the runs.
        labels: what to call them; by default as their folders.

    Raises:
        InputError: if one is neither, has no rows or no frames, or there are not as many labels.
    """
    jobs = [describe(find_input(path)) for path in paths]
    if labels is not None and len(labels) != len(jobs):
        raise InputError(
            f"expected a label for each run, got {len(labels)} for {len(jobs)}; "
            f"write --labels a,b,c"
        )
    runs = [
        Run(label, job, system)
        for job, label in zip(jobs, labels or labels_of(jobs), strict=True)
        for system in job.systems
    ]
    return [_take(run) for run in runs]


def _take(run: Run) -> Take:
    columns = run.columns
    times = columns.get("time", run.timestep_ps * columns["step"] if "step" in columns else None)
    frames = run.frames("positions")
    if times is None or frames is None:
        what = "rows with step or time" if times is None else "a trajectory of positions"
        raise InputError(
            f"expected {what} in '{run.job.folder}', got none; write them by <output>, as the "
            f"scenarios do, and run it"
        )
    known = {name: columns[name] for name in ("conserved", "temperature") if name in columns}
    finite = np.all([np.isfinite(column) for column in (times, *known.values())], axis=0)
    rows = len(finite) if finite.all() else max(int(np.argmin(finite)), 1)
    known = {name: column[:rows] for name, column in known.items()}
    wall = read_wall_time(run.job, float(columns["step"][rows - 1])) if "step" in columns else None
    conserved = known.get("conserved") if run.system.without_energy is None else None
    ending, has_failed = ("diverged", True) if rows < len(finite) else _ending(run.job)
    n_atoms = len(frames.beads[0][0])
    return Take(
        label=run.named(run.label),
        frames=frames,
        periodic=_periodic(run.system),
        times=times[:rows],
        wall_s=None if wall is None else wall.at(columns["step"][:rows]),
        change=None if conserved is None else (conserved - conserved[0]) * 1e3 / n_atoms,
        temperature=known.get("temperature"),
        ending=ending,
        has_failed=has_failed,
    )


def _ending(job: Job) -> tuple[str, bool]:
    """How a run ended, and whether too early."""
    if not job.files.summary.is_file():
        return "", False
    state = json.loads(job.files.summary.read_text())["state"]
    if state == "failed" and job.files.guard_frames.is_file():
        return "stopped by a guard", True
    return state, state != "finished"


def _periodic(system: RunSystem) -> NDArray[np.bool_]:
    """What the template says; all directions where there is none."""
    for socket in system.sockets:
        template = system.source.folder / (socket.parameters or {}).get("template", "")
        if template.is_file():
            return np.array(read_structures(template)[-1].periodic)
    return np.ones(3, dtype=bool)
