"""Names of labels: found in the frames, or asked for where several could be meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ...errors import DataError

__all__ = ["KINDS", "LabelKeys", "candidates", "find_keys", "value_of"]

KINDS = ("energy", "forces", "stress")
PATTERNS = {
    "energy": re.compile(r"energy|^e$", re.IGNORECASE),
    "forces": re.compile(r"force|^f$", re.IGNORECASE),
    "stress": re.compile(r"stress|virial", re.IGNORECASE),
}
NO_LABEL = re.compile(
    r"free_?en|kinetic|weight|std|error|rmse|mae|uncert|variance|per_?atom", re.IGNORECASE
)
PART_OF_LABEL = re.compile(
    r"formation|atomi[sz]ation|cohes|disp|vdw|binding|interaction|hull|band|fermi", re.IGNORECASE
)
"""Energies of other kinds, which are labels only where there is nothing else."""
SAME = {"energy": (1e-3, 0.0), "forces": (1e-3, 1e-3), "stress": (1e-5, 1e-3)}
"""Absolute (eV, Å) and relative differences up to which labels of two names are the same."""
UNITS = {"energy": "eV", "forces": "eV/Å", "stress": "eV/Å³"}
ABSENT = "none"


@dataclass(frozen=True)
class LabelKeys:
    """Names of the labels in the file; ``None`` for what it lacks."""

    energy: str | None
    forces: str | None
    stress: str | None


def find_keys(
    frames: Sequence[Atoms],
    energy: str | None,
    forces: str | None,
    stress: str | None,
    *,
    like: LabelKeys | None = None,
) -> LabelKeys:
    """Find the names of the labels, or check those given.

    Args:
        frames: any of them may lack any.
        energy: name that is wished for; ``none`` leaves them out.
        forces: the same.
        stress: the same; virials if that is in the name.
        like: names in another file, taken wherever this one has them too.

    Raises:
        DataError: if there are several candidates, or none of the name that is wished for.
    """
    names: dict[str, str | None] = {}
    doubts: list[str] = []
    for kind, name in zip(KINDS, (energy, forces, stress), strict=True):
        found = candidates(frames, kind)
        known = None if like is None else getattr(like, kind)
        if name == ABSENT:
            names[kind] = None
        elif name is not None:
            if all(value_of(f, kind, name) is None for f in frames):
                raise DataError(
                    f"expected {kind} under '{name}', got no frame that has it, but "
                    f"{', '.join(found) or 'nothing alike'}; change --{kind}-key"
                )
            names[kind] = name
        elif known in found:
            names[kind] = known
        else:
            names[kind] = choose(kind, found)
            doubts += rivals(frames, kind, names[kind], found)
    if doubts:
        options = " and ".join(f"--{k}-key" for k in KINDS if any(k in d for d in doubts))
        raise DataError(
            f"expected one set of labels, got {'; '.join(doubts)}; choose with {options}"
        )
    return LabelKeys(**names)


def choose(kind: str, names: Sequence[str]) -> str | None:
    """Return the one candidate there is, or the one with ASE's own name."""
    if kind in names or len(names) < 2:
        return kind if kind in names else next(iter(names), None)
    raise DataError(
        f"expected one kind of {kind}, got {', '.join(names)}; choose one with --{kind}-key"
    )


def rivals(
    frames: Sequence[Atoms], kind: str, chosen: str | None, names: Sequence[str]
) -> list[str]:
    """In words, the other names whose labels are not those of ``chosen``."""
    absolute, relative = SAME[kind]
    found = []
    for name in names:
        worst = 0.0
        for atoms in frames:
            ours = None if chosen is None else value_of(atoms, kind, chosen)
            theirs = value_of(atoms, kind, name)
            if ours is None or theirs is None:
                continue
            difference = float(np.abs(np.asarray(ours) - theirs).max())
            if difference > absolute + relative * float(np.abs(theirs).max()):
                worst = max(worst, difference)
        if worst:
            found.append(
                f"{kind} under '{chosen}' and '{name}' that differ by up to {worst:.3g} "
                f"{UNITS[kind]}"
            )
    return found


def candidates(frames: Sequence[Atoms], kind: str) -> list[str]:
    """Names of what could be the labels of a kind, in any frame."""
    names: dict[str, None] = {}
    for atoms in frames:
        held = atoms.arrays if kind == "forces" else atoms.info
        results = {} if atoms.calc is None else atoms.calc.results
        for name in (*results, *held):
            wanted = PATTERNS[kind].search(name) and not NO_LABEL.search(name)
            if wanted and name not in names and value_of(atoms, kind, name) is not None:
                names[name] = None
    return [n for n in names if not PART_OF_LABEL.search(n)] or list(names)


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
