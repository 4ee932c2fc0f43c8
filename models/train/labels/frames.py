"""Labelled frames: read from a file, their labels found under whatever names they have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import NDArray

from ...errors import DataError
from ...frames import read_frames

__all__ = ["LabelKeys", "find_keys", "is_lone_atom", "label", "read_labelled_frames"]

PATTERNS = {
    "energy": re.compile(r"energy|^e$", re.IGNORECASE),
    "forces": re.compile(r"force|^f$", re.IGNORECASE),
    "stress": re.compile(r"stress|virial", re.IGNORECASE),
}
ABSENT = "none"


@dataclass(frozen=True)
class LabelKeys:
    """Names of the labels in the file; ``None`` for what it lacks."""

    energy: str | None
    forces: str | None
    stress: str | None


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


def is_lone_atom(atoms: Atoms) -> bool:
    """Whether a frame is an isolated atom, whose energy is a baseline."""
    return len(atoms) == 1


def find_keys(
    frames: Sequence[Atoms], energy: str | None, forces: str | None, stress: str | None
) -> LabelKeys:
    """Find the names of the labels, or check those given.

    Raises:
        DataError: if forces are missing, or there are several candidates.
    """
    asked = {"energy": energy, "forces": forces, "stress": stress}
    names: dict[str, str | None] = {}
    for kind, name in asked.items():
        if name == ABSENT:
            names[kind] = None
        elif name is not None:
            if all(value_of(f, kind, name) is None for f in frames):
                raise DataError(
                    f"expected {kind} under '{name}', got no frame that has it, but "
                    f"{', '.join(candidates(frames, kind)) or 'nothing alike'}; "
                    f"change --{kind}-key"
                )
            names[kind] = name
        else:
            names[kind] = choose(kind, candidates(frames, kind))
    return LabelKeys(**names)


def choose(kind: str, names: Sequence[str]) -> str | None:
    """Return the one candidate there is, or the one with ASE's own name."""
    if kind in names or len(names) < 2:
        return kind if kind in names else next(iter(names), None)
    raise DataError(
        f"expected one kind of {kind}, got {', '.join(names)}; choose one with --{kind}-key"
    )


def candidates(frames: Sequence[Atoms], kind: str) -> list[str]:
    """Names of what could be the labels of a kind, in any frame."""
    names: dict[str, None] = {}
    for atoms in frames:
        held = atoms.arrays if kind == "forces" else atoms.info
        results = {} if atoms.calc is None else atoms.calc.results
        for name in (*results, *held):
            wanted = PATTERNS[kind].search(name) and name != "free_energy"
            if wanted and value_of(atoms, kind, name) is not None:
                names[name] = None
    return list(names)


def value_of(atoms: Atoms, kind: str, name: str) -> Any:
    """Return a label of the right shape, else ``None``.

    Returns:
        Energy as a float, forces of shape (N, 3), or stress of shape (3, 3) as ASE means it.
    """
    results = {} if atoms.calc is None else atoms.calc.results
    held = atoms.arrays if kind == "forces" else atoms.info
    value = results.get(name, held.get(name))
    if value is None:
        return None
    try:
        value = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None
    if kind == "energy":
        return float(value) if value.ndim == 0 else None
    if kind == "forces":
        return value if value.shape == (len(atoms), 3) else None
    return stress_of(atoms, value, virial="virial" in name.lower())


def stress_of(atoms: Atoms, value: NDArray[np.float64], virial: bool) -> NDArray[np.float64] | None:
    """Return the stress, shape (3, 3), eV/Å³, from numbers of it or of the virial ``-V σ``.

    Args:
        atoms: the frame; without a volume ``V`` a virial gives no stress.
        value: six numbers (xx, yy, zz, yz, xz, xy) or nine, of any shape; of others none is made.
        virial: whether it is the virial, eV.
    """
    if value.size == 6:
        xx, yy, zz, yz, xz, xy = value.ravel()
        value = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    elif value.size != 9:
        return None
    value = value.reshape(3, 3)
    if not virial:
        return value
    volume = abs(np.linalg.det(atoms.cell.array))
    return -value / volume if volume else None


def label(atoms: Atoms, keys: LabelKeys, index: int) -> Atoms:
    """Return the frame with its labels in a calculator, and its ``index`` in its ``info``."""
    results: dict[str, Any] = {}
    for kind in ("energy", "forces", "stress"):
        name = getattr(keys, kind)
        value = None if name is None else value_of(atoms, kind, name)
        if value is not None:
            results[kind] = value
    if "stress" in results:
        results["stress"] = results["stress"][[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    clean = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    kept = {k: v for k, v in atoms.info.items() if isinstance(v, (str, int, np.integer))}
    clean.info = kept | {"frame": index}
    clean.calc = SinglePointCalculator(clean, **results)
    return clean
