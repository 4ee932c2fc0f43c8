"""i-PI's properties file: how energies and temperature went."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["Properties", "read_last", "read_properties"]

TAIL = 1 << 16  # bytes, more than any row
COLUMN = re.compile(rb"# column +(\d+) +--> (\w+)(?:\{([^}]+)\})? :")
UNITS = {
    "step": None,
    "time": ("time", "picosecond"),
    "conserved": ("energy", "electronvolt"),
    "potential": ("energy", "electronvolt"),
    "temperature": ("temperature", "kelvin"),
}
"""Columns that are read, what i-PI calls their dimension, and the unit they are read in."""


@dataclass(frozen=True, eq=False)
class Properties:
    """Columns of a properties file, each of shape (rows,), or ``None`` if it is not written.

    Attributes:
        step: outer steps.
        time: ps.
        conserved: eV.
        potential: eV.
        temperature: K.
    """

    step: NDArray[np.float64] | None = None
    time: NDArray[np.float64] | None = None
    conserved: NDArray[np.float64] | None = None
    potential: NDArray[np.float64] | None = None
    temperature: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        columns = (self.step, self.time, self.conserved, self.potential, self.temperature)
        return max((len(column) for column in columns if column is not None), default=0)


def read_properties(path: Path | None) -> Properties:
    """All complete rows; none if there is no file."""
    if path is None or not path.exists():
        return Properties()
    with path.open("rb") as file:
        return _parse(file)


def read_last(path: Path | None) -> Properties:
    """The last complete row, without reading all of a file that grows; none if there is none."""
    if path is None or not path.exists():
        return Properties()
    with path.open("rb") as file:
        header = []
        for line in file:
            if not line.startswith(b"#"):
                break
            header.append(line)
        start = sum(map(len, header))
        file.seek(max(start, path.stat().st_size - TAIL))
        rows = file.read().splitlines(keepends=True)
    complete = [row for row in rows if row.endswith(b"\n")]
    return _parse([*header, *complete[-1:]])


def _parse(lines: Iterable[bytes]) -> Properties:
    """Read the complete ones of ``lines``, in whatever units their header says."""
    columns: dict[str, tuple[int, float]] = {}
    rows = []
    for line in lines:
        if match := COLUMN.match(line):
            name, unit = match[2].decode(), (match[3] or b"").decode()
            if name in UNITS:
                columns[name] = int(match[1]) - 1, _scale(name, unit)
        elif line.endswith(b"\n") and not line.startswith(b"#") and line.strip():
            rows.append(line.split())
    if not rows:
        return Properties()
    return Properties(
        **{
            name: np.array([float(row[index]) for row in rows]) * scale
            for name, (index, scale) in columns.items()
        }
    )


def _scale(name: str, unit: str) -> float:
    """What turns values of a column into those in its unit here."""
    if UNITS[name] is None or unit == UNITS[name][1]:
        return 1.0
    from ipi.utils.units import unit_to_internal  # imports all of i-PI: only where it must be

    dimension, own = UNITS[name]
    given = unit_to_internal(dimension, unit or "atomic_unit", 1.0)
    return given / unit_to_internal(dimension, own, 1.0)
