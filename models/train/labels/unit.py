"""Looks whether energies and forces can be in eV and eV/Å."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from ...errors import DataError

__all__ = ["bond_stiffness", "check_units", "work_ratio"]

ENERGY_UNITS = {
    "eV": 1.0,
    "kcal/mol": 23.0605,
    "kJ/mol": 96.4853,
    "Hartree": 1 / 27.2114,
    "Rydberg": 1 / 13.6057,
    "meV": 1000.0,
}
LENGTH_UNITS = {"Å": 1.0, "Bohr": 1.889726, "nm": 0.1}
USUAL_STIFFNESS = 35.0  # eV/Å², of a bond of hydrogen: 25 (N-H in salts) to 55 (O-H)
STIFFNESS_FACTOR = 8.0  # how much softer or stiffer a bond may be
MAX_BOND = 1.3  # times the sum of covalent radii
MAX_DISPLACEMENT = 0.3  # Å, of an atom between near frames


def bond_stiffness(frames: Sequence[Atoms]) -> float | None:
    """Mean stiffness of covalent bonds of hydrogen: how forces on H change with bond length.

    The slope of a straight line of the force towards the neighbour against the distance.

    Returns:
        In the file's units of force per Å; ``None`` if there are not enough such bonds, or they
        are hardly ever stretched.
    """
    points: dict[int, list[tuple[float, float]]] = {}
    for atoms in frames[:: max(1, len(frames) // 200)]:
        hydrogens = np.flatnonzero(atoms.numbers == 1)
        others = np.flatnonzero(atoms.numbers > 1)
        if not len(hydrogens) or not len(others):
            continue
        forces = atoms.calc.results["forces"]
        for h in hydrogens:
            vectors = atoms.get_distances(h, others, mic=bool(atoms.pbc.any()), vector=True)
            distances = np.linalg.norm(vectors, axis=1)
            k = int(np.argmin(distances))
            z = int(atoms.numbers[others[k]])
            if distances[k] < MAX_BOND * (covalent_radii[1] + covalent_radii[z]):
                # towards the neighbour: grows with length
                pull = forces[h] @ vectors[k] / distances[k]
                points.setdefault(z, []).append((distances[k], pull))
    slopes, counts = [], []
    for pairs in points.values():
        r, pull = np.array(pairs).T
        usual = np.abs(pull) < 10 * np.median(np.abs(pull))
        r, pull = r[usual], pull[usual]
        if len(r) >= 30 and r.std() > 0.005:
            slopes.append(np.polyfit(r, pull, 1)[0])
            counts.append(len(r))
    return float(np.average(slopes, weights=counts)) if slopes else None


def work_ratio(frames: Sequence[Atoms]) -> tuple[float, float, int] | None:
    """Compare energy differences of near frames with the work of their forces.

    The work against them from frame 1 to 2 is ``-(F₁ + F₂) / 2 · (x₂ - x₁)``, summed over atoms.

    Returns:
        Slope of energy difference against work (1 if both are right), correlation, and number of
        pairs; ``None`` if fewer than 10 pairs of frames that follow each other are near.
    """
    differences: list[float] = []
    works: list[float] = []
    for first, second in pairwise(frames):
        same = len(first) == len(second) and (first.numbers == second.numbers).all()
        if not same or np.abs(first.cell.array - second.cell.array).max() > 1e-6:
            continue
        displacements = second.positions - first.positions
        if not 1e-6 < np.abs(displacements).max() < MAX_DISPLACEMENT:
            continue
        mean = (first.calc.results["forces"] + second.calc.results["forces"]) / 2
        works.append(-(mean * displacements).sum())
        differences.append(second.calc.results["energy"] - first.calc.results["energy"])
    if len(works) < 10 or not np.std(works):
        return None
    x, y = np.array(works), np.array(differences)
    slope = (x @ y) / (x @ x)
    correlation = abs(x @ y) / np.sqrt((x @ x) * max(y @ y, 1e-300))
    return float(slope), float(correlation), len(x)


def likely_force_unit(ratio: float) -> str:
    """Name the unit in which a force of 1 eV/Å is about ``ratio``."""
    sizes = {
        f"{energy}/{length}": factor / scale
        for energy, factor in ENERGY_UNITS.items()
        for length, scale in LENGTH_UNITS.items()
    }
    return min(sizes, key=lambda name: float(abs(np.log(sizes[name] / abs(ratio)))))


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
    lowest, highest = USUAL_STIFFNESS / STIFFNESS_FACTOR, USUAL_STIFFNESS * STIFFNESS_FACTOR
    if stiffness is not None and not lowest < stiffness < highest:
        guess = likely_force_unit(stiffness / USUAL_STIFFNESS)
        hint = f"they look like {guess}; " if stiffness > 0 else "their sign looks turned; "
        raise DataError(
            f"expected forces in eV/Å in '{path}', got bonds of hydrogen with a stiffness of "
            f"{stiffness:.3g} eV/Å² (usual: 25 to 55); {hint}convert them, or pass --trust-units"
        )
    rms = np.sqrt(np.mean([np.mean(f.calc.results["forces"] ** 2) for f in frames]))
    if stiffness is None and not 0.01 < rms < 15:
        return [f"forces of {rms:.3g} eV/Å (root mean square) are unusual; check their unit"]
    return []
