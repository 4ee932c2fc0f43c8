"""Labelled frames: read from a file, isolated atoms told from frames, labels in a calculator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.geometry import minkowski_reduce

from ...errors import DataError
from ...frames import read_frames
from .keys import KINDS, LabelKeys, value_of

__all__ = ["ISOLATED", "is_isolated", "label", "read_labelled_frames"]

ISOLATED = 8.0
"""Å: an atom whose own periodic images are farther away is isolated. Codes with plane waves put
one into a box of 10 to 20 Å; the widest crystal of an element (caesium) has 5.3 Å."""


def read_labelled_frames(path: Path) -> list[Atoms]:
    """Read all frames.

    Raises:
        DataError: if there is no such file, ASE cannot read it, or it is empty.
    """
    if not path.is_file():
        raise DataError(f"expected a file of frames, got '{path}', which does not exist")
    frames = read_frames(path, ":")
    if not any(len(frame) for frame in frames):
        raise DataError(f"expected labelled frames, got none in '{path}'; is it empty?")
    return frames


def is_isolated(atoms: Atoms, cutoff: float) -> bool:
    """Whether a frame is an isolated atom, whose energy is a baseline.

    That is one atom and none of its images within ``ISOLATED`` nor within the ``cutoff`` (Å) of
    the network. An atom with images nearer than that is a crystal, a frame like any other.
    """
    if len(atoms) != 1:
        return False
    if not atoms.pbc.any():
        return True
    if (np.linalg.norm(atoms.cell.array[atoms.pbc], axis=1) < 1e-6).any():
        return False  # a periodic direction without a vector: refused later
    reduced, _ = minkowski_reduce(atoms.cell.array, atoms.pbc)
    nearest = np.linalg.norm(reduced[atoms.pbc], axis=1).min()
    return bool(nearest > max(ISOLATED, cutoff))


def label(atoms: Atoms, keys: LabelKeys, index: int) -> Atoms:
    """Return the frame with its labels in a calculator, and its ``index`` in its ``info``."""
    results: dict[str, Any] = {}
    for kind in KINDS:
        name = getattr(keys, kind)
        value = None if name is None else value_of(atoms, kind, name)
        if value is not None:
            results[kind] = value
    if "stress" in results:
        results["stress"] = results["stress"][[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    clean = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    kept = {k: v for k, v in atoms.info.items() if isinstance(v, (str, int, np.integer))}
    clean.info = kept | {"frame": index}
    if atoms.has("masses"):  # isotopes
        clean.set_masses(atoms.get_masses())
    clean.calc = SinglePointCalculator(clean, **results)
    return clean
