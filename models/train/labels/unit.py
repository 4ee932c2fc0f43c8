"""Looks whether energies and forces can be in eV and eV/Å."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from ...errors import DataError
from .near import work_ratio

__all__ = ["ENERGY_UNITS", "LENGTH_UNITS", "bond_stiffness", "check_units", "work_error"]

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
PER_ATOM = 0.2  # of what is left by fits of energies: their composition, not size, decides them


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


def likely_force_unit(ratio: float) -> str:
    """Name the unit in which a force of 1 eV/Å is about ``ratio``."""
    sizes = {
        f"{energy}/{length}": factor / scale
        for energy, factor in ENERGY_UNITS.items()
        for length, scale in LENGTH_UNITS.items()
    }
    return min(sizes, key=lambda name: float(abs(np.log(sizes[name] / abs(ratio)))))


def are_per_atom(frames: Sequence[Atoms]) -> bool:
    """Whether energies follow from what share each species has, whatever the number of atoms."""
    species = sorted({z for f in frames for z in f.numbers.tolist()})
    counts = np.array([[np.count_nonzero(f.numbers == z) for z in species] for f in frames], float)
    sizes = counts.sum(axis=1)
    energies = np.array([f.calc.results["energy"] for f in frames])
    if sizes.max() < 1.5 * sizes.min():
        return False
    left = [
        float(np.std((energies - x @ np.linalg.lstsq(x, energies, rcond=1e-8)[0]) / size))
        for x, size in ((counts, sizes), (counts / sizes[:, None], 1.0))
    ]
    return left[1] < PER_ATOM * left[0]


def work_error(frames: Sequence[Atoms], path: str, ratio: float, pairs: int) -> DataError:
    """What to say of energy differences that are ``ratio`` times the work of the forces."""
    size = float(np.mean([len(f) for f in frames]))
    if ratio < 0:
        reason = "forces are minus the gradient of the energy: turn their sign"
    elif size > 2 and 0.7 < ratio * size < 1.4:
        reason = "energies look like those per atom: multiply them by the number of atoms"
    else:
        reason = "convert energies to eV and forces to eV/Å"
    return DataError(
        f"expected energies and forces of one unit in '{path}', got energy differences of "
        f"{pairs} pairs of near frames that are {ratio:.3g} times the work of the forces; "
        f"{reason}, or pass --trust-units"
    )


def check_units(frames: Sequence[Atoms], path: str, *, energy: bool) -> list[str]:
    """Return warnings about units that look wrong.

    Raises:
        DataError: where it is sure: energies and the work of forces differ by a factor or in
            sign, or bonds of hydrogen are ten times softer or stiffer than any is.
    """
    if energy and are_per_atom(frames):
        raise DataError(
            f"expected energies of whole frames in '{path}', got energies that do not grow with "
            f"the number of atoms; multiply them by it, or pass --trust-units"
        )
    ratio = work_ratio(frames) if energy else None
    if ratio is not None and ratio[1] > 0.9 and not 0.67 < ratio[0] < 1.5:
        raise work_error(frames, path, ratio[0], ratio[2])
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
