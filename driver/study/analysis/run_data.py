"""All that an i-PI run left behind: its columns and its trajectories, in eV, Å, ps, K and amu."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...run.job import Job, describe

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Frames", "Run", "open_run"]

DIMENSIONS = {
    "time": ("time", "picosecond"),
    "conserved": ("energy", "electronvolt"),
    "potential": ("energy", "electronvolt"),
    "kinetic_md": ("energy", "electronvolt"),
    "kinetic_cv": ("energy", "electronvolt"),
    "kinetic_td": ("energy", "electronvolt"),
    "temperature": ("temperature", "kelvin"),
    "r_gyration": ("length", "angstrom"),
    "volume": ("volume", "angstrom3"),
    "density": ("density", "g/cm3"),
}
ROUNDING = 1e-9  # ps
STEP = re.compile(r"Step:\s*(\d+)")


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
        from ipi.scripting.parsing import read_output
        from ipi.utils.units import unit_to_internal

        path = self.job.properties
        if path is None or not path.exists():
            return {}
        values, about = read_output(str(path))
        columns = {}
        for name, column in values.items():
            column = np.atleast_1d(column).astype(float)
            base = name.partition("(")[0]
            if base in DIMENSIONS:
                dimension, unit = DIMENSIONS[base]
                given = unit_to_internal(dimension, about[name][0] or "atomic_unit", 1.0)
                column = column * (given / unit_to_internal(dimension, unit, 1.0))
            columns[name] = column
        if "time" in columns:
            kept = columns["time"] >= self.skip_ps - ROUNDING
            columns = {name: column[kept] for name, column in columns.items()}
        return columns

    def frames(self, *kinds: str) -> Frames | None:
        """The first trajectory of one of these kinds (``positions``, ``velocities``, …) on disk."""
        if kinds not in self._read_before:
            elements = [
                element
                for kind in kinds
                for element in self.root.iterfind("output/trajectory")
                if (element.text or "").strip().partition("{")[0].strip() == kind
            ]
            found = next(filter(None, map(self._paths, elements)), None)
            self._read_before[kinds] = None if found is None else self._read(found)
        return self._read_before[kinds]

    @cached_property
    def root(self) -> ElementTree.Element:
        """The input."""
        return ElementTree.parse(self.job.xml).getroot()

    @property
    def ensemble(self) -> str:
        """What i-PI calls it: ``nve``, ``nvt``, ``npt`` and so on."""
        dynamics = self.root.find(".//dynamics")
        return "nve" if dynamics is None else dynamics.get("mode", "nve").strip()

    @property
    def target_K(self) -> float:  # noqa: N802
        """The temperature of the ensemble; NaN at constant energy."""
        if self.ensemble == "nve":
            return float("nan")
        return self._quantity(".//ensemble/temperature", "temperature", "kelvin")

    @property
    def beads(self) -> int:
        """Beads of the ring polymer."""
        for tag in (".//initialize", ".//beads"):
            element = self.root.find(tag)
            if element is not None:
                return int(element.get("nbeads", "1"))
        return 1

    @cached_property
    def timestep_ps(self) -> float:
        """The outer step; 1 where there is no time, so that steps count."""
        step = self._quantity(".//dynamics/timestep", "time", "picosecond")
        return step if np.isfinite(step) else 1.0

    def _quantity(self, path: str, dimension: str, unit: str) -> float:
        from ipi.utils.units import unit_to_internal

        element = self.root.find(path)
        if element is None or not (element.text or "").strip():
            return float("nan")
        value = unit_to_internal(dimension, element.get("units", "atomic_unit").strip(), 1.0)
        return float(element.text) * value / unit_to_internal(dimension, unit, 1.0)

    def _paths(self, element: ElementTree.Element) -> list[Path]:
        prefix = self.root.find("output").get("prefix", "i-pi").strip()
        name = ".".join(filter(None, (prefix, element.get("filename", "traj").strip())))
        pattern = re.compile(re.escape(name) + r"(_(\d+))?\.(extxyz|xyz)")
        found = [(m, p) for p in self.job.folder.iterdir() if (m := pattern.fullmatch(p.name))]
        return [p for _, p in sorted(found, key=lambda pair: int(pair[0][2] or 0))]

    def _read(self, paths: Sequence[Path]) -> Frames | None:
        from ipi.scripting.parsing import read_trajectory

        beads = [read_trajectory(str(path)) for path in paths]
        complete = min(len(frames) for frames in beads)
        steps = [_step(frame) for frame in beads[0][:complete]]
        times = np.array(steps) * self.timestep_ps
        kept = np.flatnonzero(times >= self.skip_ps - ROUNDING)
        if len(kept) == 0:
            return None
        return Frames(times[kept], [[frames[i] for i in kept] for frames in beads])


def open_run(path: Path, *, skip_ps: float = 0.0) -> Run:
    """Open a folder or an input file.

    Raises:
        InputError: if it is neither, or nothing was run there.
    """
    job = describe(path / "input.xml" if path.is_dir() else path)
    run = Run(job.folder.resolve().name, job, skip_ps)
    if not run.columns or not len(next(iter(run.columns.values()))):
        raise InputError(
            f"expected a properties file with rows in '{job.folder}', got none; "
            f"run it first, or choose a smaller --skip"
        )
    return run


def _step(frame: Atoms) -> int:
    if "step" in frame.info:
        return int(frame.info["step"])
    match = STEP.search(str(frame.info.get("ipi_comment", "")))
    return int(match[1]) if match else 0
