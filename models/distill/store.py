"""Labelled frames in one extended xyz file: each structure once, nothing lost when killed."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import NDArray

from ..base import ForceResult
from ..errors import DataError
from ..frames import inputs_of, tell

__all__ = ["SUPPLIED", "Store", "bare", "key", "labelled", "rounded", "state_of"]

log = logging.getLogger(__name__)

DECIMALS = 8
"""Of the numbers in an extended xyz file; structures are rounded to them before they are labelled,
so that a label belongs to exactly the structure in the file."""

NEUTRAL = 0.0, 1

SUPPLIED = "given"
"""Key in the info of a frame that came with its labels."""

OWN = {"walker", "temperature_K", "bead", "round", "turn", "trajectory", SUPPLIED}
"""Keys in the info of frames that a distillation writes."""


class Store:
    """Frames that are on disk as soon as they are added.

    Args:
        path: the file; made when the first frame comes.

    Attributes:
        frames: all of them, in the order in which they came.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames: list[Atoms] = []
        self._indices: dict[str, int] = {}
        for atoms in read(path):
            self._remember(atoms)

    def __contains__(self, atoms: Atoms) -> bool:
        return key(atoms) in self._indices

    def find(self, atoms: Atoms) -> Atoms | None:
        """The frame of exactly this structure."""
        index = self._indices.get(key(atoms))
        return None if index is None else self.frames[index]

    def add(self, frames: Iterable[Atoms]) -> None:
        """Append those that are new, in one write."""
        new = [atoms for atoms in frames if self._remember(atoms)]
        if new:
            text = io.StringIO()
            ase.io.write(text, new, format="extxyz")
            with self.path.open("a") as file:
                file.write(text.getvalue())
                file.flush()
                os.fsync(file.fileno())

    def _remember(self, atoms: Atoms) -> bool:
        name = key(atoms)
        if name in self._indices:
            return False
        self._indices[name] = len(self.frames)
        self.frames.append(atoms)
        return True


def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of any shape as the file will hold them."""
    return np.round(values, DECIMALS) + 0.0  # no negative zeros


def key(atoms: Atoms) -> str:
    """A name for exactly this structure in its charge state."""
    digest = hashlib.sha1(atoms.numbers.astype(np.int64).tobytes(), usedforsecurity=False)
    state = np.array([*state_of(atoms)]) if state_of(atoms) != NEUTRAL else np.empty(0)
    for values in (atoms.positions, atoms.cell.array, atoms.pbc.astype(float), state):
        digest.update(rounded(values).tobytes())
    return digest.hexdigest()


def state_of(atoms: Atoms) -> tuple[float, int]:
    """Total charge, e, and multiplicity; what is not said is neutral and of closed shells."""
    inputs = inputs_of(atoms)
    return inputs.charge or 0.0, inputs.spin or 1


def bare(atoms: Atoms) -> Atoms:
    """A frame with nothing but what a model may compute from, and its masses."""
    frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    tell(frame, inputs_of(atoms))
    for key in OWN & frame.info.keys():
        del frame.info[key]
    if atoms.has("masses"):
        frame.set_masses(atoms.get_masses())
    return frame


def labelled(atoms: Atoms, result: ForceResult, *, stress: bool) -> Atoms:
    """Attach energy, forces and, if it is known, stress to a copy of a structure."""
    frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=atoms.info)
    for name in set(atoms.arrays) - {"numbers", "positions"}:
        frame.arrays[name] = atoms.arrays[name]
    labels = {"energy": result.energy, "forces": rounded(result.forces)}
    if stress and atoms.pbc.all():
        labels["stress"] = -result.virial / atoms.get_volume()
    frame.calc = SinglePointCalculator(frame, **labels)
    return frame


def read(path: Path) -> Iterator[Atoms]:
    """Read the frames, and cut off one that was being written when the process was killed."""
    if not path.is_file():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    begin = 0
    while begin < len(lines):
        count = lines[begin].strip()
        end = begin + 2 + (int(count) if count.isdigit() else len(lines))
        if end > len(lines) or not lines[end - 1].endswith(b"\n"):
            break
        begin = end
    whole = b"".join(lines[:begin])
    if begin < len(lines):
        log.warning("warning: %s ends within a frame; the frame is made again", path)
        os.truncate(path, len(whole))
    if whole:
        try:
            yield from ase.io.read(io.StringIO(whole.decode()), ":", format="extxyz")
        except (ValueError, KeyError, ase.io.formats.UnknownFileTypeError) as error:
            raise DataError(f"expected extended xyz in '{path}', got {error}; mend it") from error
