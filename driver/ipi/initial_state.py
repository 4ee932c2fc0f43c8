"""What i-PI starts a system from: labels of its atoms and its cell, from the files it reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError
from .elements import numbers
from .structures import Frame, Vectors, read_structures, vectors_of
from .system import Initial, System

__all__ = ["Start", "StructureFiles"]

RESTART = "the input's own state"


@dataclass
class StructureFiles:
    """Structures that inputs name, each file read once.

    Attributes:
        folder: where i-PI and the driver run.
    """

    folder: Path
    _known: dict[tuple[str, str], list[Frame]] = field(default_factory=dict)

    def read(self, name: str, mode: str = "ase") -> list[Frame]:
        """All frames of a file, read as i-PI does in this mode.

        Raises:
            InputError: if that cannot be.
        """
        if (name, mode) not in self._known:
            path = self.folder / name
            state = _checkpoint(path) if mode == "chk" else read_structures(path, mode)
            self._known[name, mode] = state
        return self._known[name, mode]


def _checkpoint(path: Path) -> list[Frame]:
    """The first system of a RESTART, as i-PI takes it."""
    from .input import IpiInput  # which reads systems

    systems = IpiInput.read_state(path).systems
    if not systems:
        raise InputError(f"expected a checkpoint of i-PI with a <system> in '{path}', got none")
    cell = _columns(systems[0].cell)
    return [Frame(systems[0].labels, None if cell is None else cell.T)]


def _columns(values: tuple[float, ...]) -> Vectors | None:
    return np.array(values, np.float64).reshape(3, 3) if len(values) == 9 else None


class Start:
    """What i-PI starts a system from.

    Args:
        system: of the input.
        files: read where something is asked that stands in them.
    """

    def __init__(self, system: System, files: StructureFiles) -> None:
        self._system = system
        self._files = files

    @property
    def frames(self) -> Iterator[tuple[Initial, list[Frame]]]:
        """The files of structures with their frames, and what they are for."""
        for initial in self._system.initials:
            if initial.names_file and initial.tag != "gle":
                yield initial, self._files.read(initial.value, initial.mode)

    @property
    def labels(self) -> tuple[tuple[str, ...], str]:
        """Labels of the atoms, and where they stand; none if that is not known."""
        found = self._system.labels, RESTART
        for initial in self._system.initials:
            if initial.tag not in ("file", "labels"):
                continue
            if initial.is_partial and initial.tag == "labels":
                return (), ""
            if initial.names_file:
                frames = self._files.read(initial.value, initial.mode)
                found = frames[0].labels, f"'{initial.value}'"
            elif initial.mode == "manual":
                items = (item.strip(" \n\t'\"") for item in initial.value.strip("[] ").split(","))
                found = tuple(items), "<labels>"
        return found

    @property
    def cell(self) -> tuple[Vectors | None, str]:
        """Cell vectors in columns as i-PI has them, in whatever unit, and where they stand."""
        own = _columns(self._system.cell)
        found = (None if own is None else own), "<cell>"
        for initial in self._system.initials:
            if initial.tag == "cell" and not initial.names_file:
                found = _given(initial), "<cell>"
            elif initial.tag in ("file", "cell") and initial.names_file:
                frame = self._files.read(initial.value, initial.mode)[-1]
                if frame.cell is not None:
                    turned = _turned(frame.cell) if _is_turned(initial, frame) else frame.cell
                    found = turned.T, f"'{initial.value}'"
                elif initial.mode == "ase":
                    found = None, f"'{initial.value}'"
        return found


def _given(initial: Initial) -> Vectors | None:
    values = numbers(initial.value, float, "<cell>")
    if initial.mode == "abc":
        return vectors_of(*values, 90.0, 90.0, 90.0).T if len(values) == 3 else None
    if initial.mode == "abcABC":
        return vectors_of(*values).T if len(values) == 6 else None
    return _columns(values)


def _is_turned(initial: Initial, frame: Frame) -> bool:
    """Whether i-PI turns the cell so that a lies along x and b in the xy plane."""
    return initial.mode == "ase" and all(frame.pbc)


def _turned(rows: Vectors) -> Vectors:
    """The cell after that, of the same handedness; as it is where it has no volume."""
    handedness = np.sign(np.linalg.det(rows))
    if handedness == 0.0:
        return rows
    turned: Vectors = np.linalg.cholesky(rows @ rows.T).astype(np.float64)
    turned[2, 2] *= handedness
    return turned
