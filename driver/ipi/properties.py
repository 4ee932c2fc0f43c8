"""i-PI's properties file: its columns, in eV, ps, K and Å."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .units import unit_factor

__all__ = ["Column", "Properties", "read_columns", "read_first", "read_last", "read_properties"]

TAIL = 1 << 16  # bytes, more than any row
HEADER = re.compile(
    rb"#\s*(?:column|cols\.)\s+(?P<first>\d+)(?:-(?P<last>\d+))?\s*-->\s*(?P<name>[^\s{(]+)"
    rb"(?:\{(?P<before>[^}]+)\})?(?:\((?P<arguments>[^)]+)\))?(?:\{(?P<after>[^}]+)\})?\s*:"
)
UNITS = {
    "time": ("time", "picosecond"),
    "conserved": ("energy", "electronvolt"),
    "potential": ("energy", "electronvolt"),
    "kinetic_md": ("energy", "electronvolt"),
    "kinetic_cv": ("energy", "electronvolt"),
    "kinetic_td": ("energy", "electronvolt"),
    "pressure_md": ("pressure", "megapascal"),
    "pressure_cv": ("pressure", "megapascal"),
    "pressure_td": ("pressure", "megapascal"),
    "temperature": ("temperature", "kelvin"),
    "r_gyration": ("length", "angstrom"),
    "volume": ("volume", "angstrom3"),
    "density": ("density", "g/cm3"),
}
"""Columns, what i-PI calls their dimension, and the unit they are read in; others stay as are."""


@dataclass(frozen=True)
class Column:
    """One or several columns of a file, as its header says.

    Attributes:
        name: with its arguments: ``temperature(O)``.
        unit: as i-PI calls it; empty for atomic units.
        first: index of the first one.
        last: index of the last one.
    """

    name: str
    unit: str
    first: int
    last: int

    @classmethod
    def read(cls, line: bytes) -> Column | None:
        """Read a line of a header; ``None`` if it is none of a column."""
        match = HEADER.match(line)
        if match is None:
            return None
        parts = {key: (value or b"").decode() for key, value in match.groupdict().items()}
        arguments = f"({parts['arguments']})" if parts["arguments"] else ""
        first = int(parts["first"])
        return cls(
            parts["name"] + arguments,
            parts["after"] or parts["before"],
            first - 1,
            int(parts["last"] or first) - 1,
        )

    @property
    def factor(self) -> float:
        """What turns its values into those in the unit of ``UNITS``."""
        base = self.name.partition("(")[0]
        if base not in UNITS:
            return 1.0
        dimension, unit = UNITS[base]
        return unit_factor(dimension, self.unit, unit)


@dataclass(frozen=True, eq=False)
class Properties:
    """Columns of a properties file, each of shape (rows,), or ``None`` if it is not written.

    Attributes:
        step: outer steps.
        time: ps.
        conserved: eV.
        potential: eV.
        temperature: K.
        centroid_temperature: that of the centroids of ring polymers alone, K.
    """

    step: NDArray[np.float64] | None = None
    time: NDArray[np.float64] | None = None
    conserved: NDArray[np.float64] | None = None
    potential: NDArray[np.float64] | None = None
    temperature: NDArray[np.float64] | None = None
    centroid_temperature: NDArray[np.float64] | None = None

    @classmethod
    def parse(cls, lines: Iterable[bytes]) -> Properties:
        """Read complete lines, those of the header first."""
        columns = _parse(lines, COLUMNS)
        return cls(**{COLUMNS[name]: values for name, values in columns.items()})

    @property
    def fault(self) -> str | None:
        """The first number in it that is none, and its step; ``None`` if all are finite."""
        for name in NAMES:
            column = getattr(self, name)
            if column is not None and not np.isfinite(column).all():
                row = int(np.argmin(np.isfinite(column)))
                at = "" if self.step is None else f" at step {self.step[row]:.0f}"
                return (
                    f"expected numbers in i-PI's output, got {name} {column[row]}{at}; look at the "
                    f"start structure and its cell, or go back to a checkpoint"
                )
        return None

    def __len__(self) -> int:
        columns = (self.step, self.time, self.conserved, self.potential, self.temperature)
        return max((len(column) for column in columns if column is not None), default=0)


NAMES = tuple(Properties.__dataclass_fields__)
COLUMNS = {**{name: name for name in NAMES[:-1]}, "temperature(nm=0)": NAMES[-1]}
"""i-PI's name of a column -> the attribute."""


def read_columns(path: Path | None) -> dict[str, NDArray[np.float64]]:
    """All complete rows of all columns; nothing if there is no file or no row.

    Returns:
        Name -> values, shape (rows,), or (rows, k) for a property of k numbers; names as i-PI
        writes them, without units.
    """
    if path is None or not path.exists():
        return {}
    with path.open("rb") as file:
        return _parse(file)


def read_properties(path: Path | None) -> Properties:
    """All complete rows; none if there is no file."""
    if path is None or not path.exists():
        return Properties()
    with path.open("rb") as file:
        return Properties.parse(file)


def read_first(path: Path | None) -> Properties:
    """The first complete row; none if there is none."""
    if path is None or not path.exists():
        return Properties()
    with path.open("rb") as file:
        header, row = _header(file)
    return Properties.parse([*header, row])


def read_last(path: Path | None) -> Properties:
    """The last complete row, without reading all of a file that grows; none if there is none."""
    if path is None or not path.exists():
        return Properties()
    with path.open("rb") as file:
        header, _ = _header(file)
        start = sum(map(len, header))
        file.seek(max(start, path.stat().st_size - TAIL))
        rows = file.read().splitlines(keepends=True)
    complete = [row for row in rows if row.endswith(b"\n")]
    return Properties.parse([*header, *complete[-1:]])


def _header(lines: Iterable[bytes]) -> tuple[list[bytes], bytes]:
    """The lines of a header, and the one that follows, empty if there is none."""
    header: list[bytes] = []
    for line in lines:
        if not line.startswith(b"#"):
            return header, line
        header.append(line)
    return header, b""


def _parse(
    lines: Iterable[bytes], wanted: Container[str] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Read the complete ones of ``lines``, in whatever units their header says."""
    columns: list[Column] = []
    rows = []
    for line in lines:
        if line.startswith(b"#"):
            column = Column.read(line)
            if column is not None and (wanted is None or column.name in wanted):
                columns.append(column)
        elif line.endswith(b"\n") and line.strip():
            rows.append(line.split())
    return {c.name: _values(rows, c) * c.factor for c in columns} if rows else {}


def _values(rows: list[list[bytes]], column: Column) -> NDArray[np.float64]:
    if column.first == column.last:
        return np.array([float(row[column.first]) for row in rows])
    return np.array([list(map(float, row[column.first : column.last + 1])) for row in rows])
