"""Structures in files, as ASE and as i-PI read them: all that can be known without coordinates.

``xyz`` and ``pdb`` are read by hand: nothing slow is imported for a look at a header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

__all__ = ["Frame", "Vectors", "read_structures", "vectors_of"]

Vectors = NDArray[np.float64]

PAIR = re.compile(r"""([\w.\-]+)\s*=\s*("[^"]*"|'[^']*'|\{[^}]*\}|\[[^\]]*\]|\S+)""")
"""``key=value`` in the header of an extended xyz."""
CELL = re.compile(r"CELL[(\[{](abcABC|H|GENH)[)\]}]:\s*((?:[-+0-9.Ee]+\s*)+)")
"""The cell in the header of i-PI's own xyz."""
KEPT = ("initial_charges", "initial_magmoms", "tags", "momenta", "velocities", "velo")
"""Columns of atoms that something is told by."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A structure.

    Attributes:
        labels: of the atoms.
        cell: vectors as rows in the file's unit; ``None`` if it has none.
        pbc: what it says is periodic, as ASE understands it.
        is_silent: whether it says nothing of cell and periodicity.
        info: what else its header says.
        columns: some of what it says of atoms, shape (N,) or (N, 3).
        comment: its header, where that is a line.
    """

    labels: tuple[str, ...]
    cell: Vectors | None = None
    pbc: tuple[bool, ...] = (False, False, False)
    is_silent: bool = False
    info: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    comment: str = ""

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Directions that are periodic; all of them where it does not say: i-PI has a cell."""
        return (True, True, True) if self.is_silent else self.pbc


def read_structures(path: Path, mode: str = "ase") -> list[Frame]:
    """All frames of a file, at least one.

    Args:
        path: the file.
        mode: of i-PI's ``<file>``: ``ase`` for what ASE reads, ``xyz`` or ``pdb``.

    Raises:
        InputError: if there is no such file, or it cannot be read so.
    """
    if not path.is_file():
        raise InputError(f"expected the structure '{path}', found no such file")
    try:
        frames = list(_readers(path, mode))
    except (ValueError, LookupError, OSError) as error:
        raise InputError(
            f"expected a structure of kind {mode} in '{path}', got what cannot be read so: "
            f"{str(error) or type(error).__name__}"
        ) from error
    if not frames:
        raise InputError(f"expected at least one structure of kind {mode} in '{path}', got none")
    return frames


def _readers(path: Path, mode: str) -> Iterator[Frame]:
    if mode == "xyz":
        return (_ipi_xyz(comment, rows) for comment, rows in _xyz(path))
    if mode == "pdb":
        return _pdb(path)
    if path.suffix in (".xyz", ".extxyz"):
        try:
            return iter([_extended_xyz(comment, rows) for comment, rows in _xyz(path)])
        except (ValueError, LookupError):  # ASE may know more, or say what is wrong
            pass
    if path.suffix == ".pdb" and _is_of_ipi(path):
        return _pdb(path)
    return _by_ase(path)


def _is_of_ipi(path: Path) -> bool:
    """Whether i-PI wrote a pdb: its names are labels then, and H2 is no H, as ASE reads it."""
    with path.open(errors="replace") as file:
        return "cell{" in file.readline()


def _xyz(path: Path) -> Iterator[tuple[str, list[list[str]]]]:
    """Header and rows of each frame."""
    with path.open(errors="replace") as file:
        while count := file.readline().strip():
            comment = file.readline().rstrip("\n")
            rows = [file.readline().split() for _ in range(int(count))]
            if not all(rows):
                raise ValueError(f"a frame of {count} atoms has fewer rows")
            yield comment, rows


def _extended_xyz(comment: str, rows: Sequence[Sequence[str]]) -> Frame:
    told = {key: value.strip("\"'{}[]") for key, value in PAIR.findall(comment)}
    by_case = {key.lower(): value for key, value in told.items()}
    places = _places(by_case.get("properties", "species:S:1:pos:R:3"))
    label, _ = places["species"]
    lattice = by_case.get("lattice")
    cell = None if lattice is None else np.array(lattice.split(), np.float64).reshape(3, 3)
    says = by_case.get("pbc")
    pbc = (cell is not None,) * 3 if says is None else _truths(says)
    columns = {
        name: np.array([row[first : first + width] for row in rows], np.float64).squeeze(1)
        if width == 1
        else np.array([row[first : first + width] for row in rows], np.float64)
        for name, (first, width) in places.items()
        if name in KEPT
    }
    labels = tuple(row[label] for row in rows)
    return Frame(labels, cell, pbc, cell is None and says is None, told, columns, comment)


def _places(properties: str) -> dict[str, tuple[int, int]]:
    """First column and width of what ``name:type:width:…`` names."""
    items = properties.split(":")
    places, first = {}, 0
    for name, width in zip(items[::3], map(int, items[2::3]), strict=True):
        places[name] = first, width
        first += width
    return places


def _truths(text: str) -> tuple[bool, ...]:
    """Three values, or one for all three, as ASE reads them."""
    values = [{"t": True, "1": True, "f": False, "0": False}[v[0].lower()] for v in text.split()]
    if len(values) not in (1, 3):
        raise ValueError(f"pbc={text}")
    return tuple(values * (3 // len(values)))


def _ipi_xyz(comment: str, rows: Sequence[Sequence[str]]) -> Frame:
    found = CELL.search(comment)
    cell = None
    if found:
        values = [float(value) for value in found[2].split()]
        if found[1] == "H":  # the vectors are columns there
            cell = np.array(values[:9]).reshape(3, 3).T
        elif found[1] == "GENH":  # rows, which i-PI turns itself
            cell = vectors_of(*_lengths_and_angles(np.array(values[:9]).reshape(3, 3)))
        else:
            cell = vectors_of(*values[:6])
    return Frame(tuple(row[0] for row in rows), cell, (True,) * 3, comment=comment)


def _pdb(path: Path) -> Iterator[Frame]:
    """As i-PI reads it: ``TITLE`` where there is one, ``CRYST1``, atoms, ``END``."""
    with path.open(errors="replace") as file:
        while header := file.readline():
            if "TITLE" in header:
                header = file.readline()
            edges = ((6, 15), (15, 24), (24, 33), (33, 40), (40, 47), (47, 54))
            cell = vectors_of(*(float(header[a:b]) for a, b in edges))
            labels = []
            while (line := file.readline()).strip() not in ("", "END"):
                labels.append(line[12:16].strip())
            yield Frame(tuple(labels), cell, (True,) * 3)


def vectors_of(*shape: float) -> Vectors:
    """Cell vectors as rows from three lengths and, in degrees, three angles."""
    a, b, c = shape[:3]
    alpha, beta, gamma = np.radians(shape[3:])
    x = c * np.cos(beta)
    y = c * (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
    rows = [[a, 0, 0], [b * np.cos(gamma), b * np.sin(gamma), 0], [x, y, 0]]
    rows[2][2] = np.sqrt(max(c**2 - x**2 - y**2, 0.0))
    return np.array(rows, np.float64)


def _lengths_and_angles(rows: Vectors) -> list[float]:
    lengths = np.linalg.norm(rows, axis=1)
    cosines = [rows[i] @ rows[j] / lengths[i] / lengths[j] for i, j in ((1, 2), (0, 2), (0, 1))]
    return [*lengths, *np.degrees(np.arccos(cosines))]


def _by_ase(path: Path) -> Iterator[Frame]:
    from ...models.errors import DataError
    from ...models.frames import read_frames

    try:
        frames = read_frames(path, ":")
    except DataError as error:
        raise InputError(str(error)) from error
    for atoms in frames:
        cell = atoms.cell.array if atoms.cell.rank else None
        columns = {name: array for name, array in atoms.arrays.items() if name in KEPT}
        silent = cell is None and "pbc=" not in path.read_text(errors="replace")[:4096]
        pbc = tuple(map(bool, atoms.pbc))
        yield Frame(tuple(atoms.symbols), cell, pbc, silent, atoms.info, columns)
