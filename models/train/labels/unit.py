"""Looks whether energies and forces can be in eV and eV/Å."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from ...errors import DataError

__all__ = ["bond_stiffness", "check_units", "work_ratio"]

FACTORS = {
    "eV": 1.0,
    "kcal/mol": 23.0605,
    "kJ/mol": 96.4853,
    "Hartree": 1 / 27.2114,
    "Rydberg": 1 / 13.6057,
    "meV": 1000.0,
}
LENGTHS = {"Å": 1.0, "Bohr": 1.889726, "nm": 0.1}
STIFFNESS = 35.0  # eV/Å², of a bond of hydrogen: 25 (N-H in salts) to 55 (O-H)
NEAR = 0.3  # Å


def bond_stiffness(frames: Sequence[Atoms]) -> float | None:
    """Mean stiffness of covalent bonds of hydrogen: how forces on H change with bond length.

    Returns:
        In the file's units of force per Å; ``None`` if there are not enough such bonds, or they
        are hardly ever stretched.
    """
    lengths: dict[int, list[np.ndarray]] = {}
    for atoms in frames[:: max(1, len(frames) // 200)]:
        hydrogens = np.flatnonzero(atoms.numbers == 1)
        others = np.flatnonzero(atoms.numbers > 1)
        if not len(hydrogens) or not len(others):
            continue
        forces = atoms.calc.results["forces"]
        for h in hydrogens:
            apart = atoms.get_distances(h, others, mic=bool(atoms.pbc.any()), vector=True)
            r = np.linalg.norm(apart, axis=1)
            k = int(np.argmin(r))
            z = int(atoms.numbers[others[k]])
            if r[k] < 1.3 * (covalent_radii[1] + covalent_radii[z]):
                pull = forces[h] @ apart[k] / r[k]  # towards the neighbour: grows with length
                lengths.setdefault(z, []).append(np.array([r[k], pull]))
    slopes, counts = [], []
    for found in lengths.values():
        r, pull = np.array(found).T
        usual = np.abs(pull) < 10 * np.median(np.abs(pull))
        r, pull = r[usual], pull[usual]
        if len(r) >= 30 and r.std() > 0.005:
            slopes.append(np.polyfit(r, pull, 1)[0])
            counts.append(len(r))
    return float(np.average(slopes, weights=counts)) if slopes else None


def work_ratio(frames: Sequence[Atoms]) -> tuple[float, float, int] | None:
    """Compare energy differences of near frames with the work of their forces.

    Returns:
        Slope of energy difference against work (1 if both are right), correlation, and number of
        pairs; ``None`` if fewer than 10 pairs of frames that follow each other are near.
    """
    differences, works = [], []
    for one, two in pairwise(frames):
        same = len(one) == len(two) and (one.numbers == two.numbers).all()
        if not same or np.abs(one.cell.array - two.cell.array).max() > 1e-6:
            continue
        apart = two.positions - one.positions
        if not 1e-6 < np.abs(apart).max() < NEAR:
            continue
        mean = (one.calc.results["forces"] + two.calc.results["forces"]) / 2
        works.append(-(mean * apart).sum())
        differences.append(two.calc.results["energy"] - one.calc.results["energy"])
    if len(works) < 10 or not np.std(works):
        return None
    works, differences = np.array(works), np.array(differences)
    slope = (works @ differences) / (works @ works)
    correlation = abs(works @ differences) / np.sqrt(
        (works @ works) * max(differences @ differences, 1e-300)
    )
    return float(slope), float(correlation), len(works)


def likely(ratio: float, lengths: bool) -> str:
    """Name the unit whose size relative to eV (or eV/Å) comes nearest to ``ratio``."""
    names = {
        (f"{e}/{length}" if lengths else e): factor / (scale if lengths else 1.0)
        for e, factor in FACTORS.items()
        for length, scale in (LENGTHS.items() if lengths else [("", 1.0)])
    }
    return min(names, key=lambda n: abs(np.log(names[n] / abs(ratio))))


def check_units(frames: Sequence[Atoms], path: str, *, energy: bool) -> list[str]:
    """Return warnings about units that look wrong.

    Raises:
        DataError: where it is sure: energies and the work of forces differ by a factor or in
            sign, or bonds of hydrogen are ten times softer or stiffer than any is.
    """
    ratio = work_ratio(frames) if energy else None
    if ratio is not None and ratio[1] > 0.9 and not 0.67 < ratio[0] < 1.5:
        if ratio[0] < 0:
            reason = "forces are minus the gradient of the energy: turn their sign"
        else:
            reason = "convert energies to eV and forces to eV/Å"
        raise DataError(
            f"expected energies and forces of one unit in '{path}', got energy differences of "
            f"{ratio[2]} pairs of near frames that are {ratio[0]:.3g} times the work of the "
            f"forces; {reason}, or pass --trust-units"
        )
    stiffness = bond_stiffness(frames)
    if stiffness is not None and not STIFFNESS / 8 < stiffness < 8 * STIFFNESS:
        guess = likely(stiffness / STIFFNESS, lengths=True)
        hint = f"they look like {guess}; " if stiffness > 0 else "their sign looks turned; "
        raise DataError(
            f"expected forces in eV/Å in '{path}', got bonds of hydrogen with a stiffness of "
            f"{stiffness:.3g} eV/Å² (usual: 25 to 55); {hint}convert them, or pass --trust-units"
        )
    rms = np.sqrt(np.mean([np.mean(f.calc.results["forces"] ** 2) for f in frames]))
    if stiffness is None and not 0.01 < rms < 15:
        return [f"forces of {rms:.3g} eV/Å (root mean square) are unusual; check their unit"]
    return []
