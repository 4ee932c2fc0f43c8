"""Stresses: which frames can have one, and whether unit, sign and order can be right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from ...errors import DataError
from .near import ORDERS, NearPairs, near_in_strain
from .unit import ENERGY_UNITS, LENGTH_UNITS, work_error

__all__ = ["check_stresses", "drop_stresses"]

PRESSURE_UNITS = {
    "GPa": 160.2177, "kbar": 1602.177, "bar": 1.602177e6, "MPa": 1.602177e5, "Pa": 1.602177e11,
}  # fmt: skip
"""In an eV/Å³."""
VOLUME_UNITS = {"Å": ("kcal/mol", "kJ/mol", "meV"), "Bohr": ("Hartree", "Rydberg")}
"""What energies come with per volume."""
MAX_FACTOR = 3.0  # every unit is farther from eV/Å³, and so are virials taken for stresses
MIN_CERTAINTY = 5.0  # a slope over its standard error
BETTER_ORDER = 0.7  # what another order leaves of the energy differences, beside ASE's
NAMED_FACTOR = 1.6  # how far from a unit a factor may be to be called by it
USUAL_STRESS = (1e-5, 1.0)  # eV/Å³, of the largest component, the median of frames
HIGHEST_STRESS = 5.0  # eV/Å³: 800 GPa


def drop_stresses(frames: Sequence[Atoms]) -> list[str]:
    """Take away stresses that are none, and return notes of it.

    Those of frames that are not periodic in three directions, and zeros that stand for nothing:
    all six numbers are zero while forces are not.
    """
    partial, zero = 0, 0
    for atoms in frames:
        results = atoms.calc.results
        if "stress" not in results:
            continue
        if not atoms.pbc.all():
            del results["stress"]
            partial += 1
        elif not results["stress"].any() and np.any(results.get("forces", 0.0)):
            del results["stress"]
            zero += 1
    notes = []
    if partial:
        notes.append(f"stresses left out, of frames not periodic in three directions: {partial}")
    if zero:
        notes.append(f"stresses left out, all six numbers zero beside forces: {zero}")
    return notes


def check_stresses(frames: Sequence[Atoms], path: str, key: str) -> tuple[list[str], list[str]]:
    """Compare energy differences of near frames with the work of stresses, ``V σ : Δε``.

    Args:
        frames: labelled.
        path: named in errors.
        key: name of the labels; that of virials has ``virial`` in it.

    Returns:
        Warnings, and notes: that the frames cannot tell.

    Raises:
        DataError: where it is sure that unit, sign or order of the numbers is wrong.
    """
    members = [f for f in frames if "stress" in f.calc.results]
    pairs = near_in_strain(members)
    if pairs is not None:
        check_order(pairs, path, key)
        force, stress, _ = pairs.fit(next(iter(ORDERS)))
        count = len(pairs.works)
        if force.certainty > MIN_CERTAINTY and not 1 / MAX_FACTOR < force.value < MAX_FACTOR:
            raise work_error(members, path, force.value, count)
        if stress.certainty > MIN_CERTAINTY:
            if not 1 / MAX_FACTOR < stress.value < MAX_FACTOR:
                raise stress_error(members, path, key, 1 / stress.value, count)
            return [], []
    notes = [
        f"unit and sign of the stresses in '{path}' could not be checked by energies: too few "
        f"frames of the same atoms are near each other in cells that differ"
    ]
    return check_size(members, path), notes


def check_order(pairs: NearPairs, path: str, key: str) -> None:
    """Raise DataError if another order of the numbers fits far better than ASE's."""
    usual, *others = ORDERS
    _, _, rest = pairs.fit(usual)
    fits = {order: pairs.fit(order) for order in others}
    best = min(others, key=lambda order: fits[order][2])
    _, stress, left = fits[best]
    if left < BETTER_ORDER * rest and stress.certainty > MIN_CERTAINTY:
        raise DataError(
            f"expected '{key}' of '{path}' as {usual}, got numbers that fit the energies of near "
            f"frames as {best}; write them in ASE's order or as nine, or pass --trust-units"
        )


def stress_error(
    frames: Sequence[Atoms], path: str, key: str, factor: float, pairs: int
) -> DataError:
    """What to say of stresses that are ``factor`` times what energies say."""
    virial = "virial" in key.lower()
    meant = "virials in eV, -V σ," if virial else "stresses in eV/Å³ with ASE's sign, (dE/dε) / V,"
    unit, size = likely_unit(frames, factor, virial=virial)
    if unit is None:
        remedy = "convert them"
    elif "not" in unit:
        remedy = f"they look like {unit}: change their name"
    else:
        remedy = f"they look like {unit}: divide them by {size:.7g}"
    return DataError(
        f"expected {meant} under '{key}' in '{path}', got {factor:.4g} times what the energies of "
        f"{pairs} pairs of near frames say; {remedy}, pass --trust-units, or leave them out with "
        f"--stress-key none"
    )


def units_of(frames: Sequence[Atoms], *, virial: bool) -> dict[str, float]:
    """What labels in each unit are beside the right ones, by name."""
    volume = float(np.median([f.get_volume() for f in frames]))
    turned = " of the other sign"
    sizes: dict[str, float] = {"eV" if virial else "eV/Å³": 1.0}
    if virial:
        sizes |= {name: size for name, size in ENERGY_UNITS.items() if name != "eV"}
        sizes |= {"stresses, not virials": -1 / volume}
    else:
        sizes |= PRESSURE_UNITS | {
            f"{energy}/{length}³": ENERGY_UNITS[energy] / LENGTH_UNITS[length] ** 3
            for length, energies in VOLUME_UNITS.items()
            for energy in energies
        }
        sizes |= {"virials, not stresses": -volume}
    return sizes | {name + turned: -size for name, size in sizes.items() if "not" not in name}


def likely_unit(
    frames: Sequence[Atoms], factor: float, *, virial: bool
) -> tuple[str | None, float]:
    """Name and size of the unit and sign of labels that are ``factor`` times the right ones."""
    sizes = units_of(frames, virial=virial)
    far = {k: abs(np.log(factor / v)) for k, v in sizes.items() if factor / v > 0}
    name = min(far, key=lambda k: float(far[k]))
    return (name if far[name] < np.log(NAMED_FACTOR) else None), sizes[name]


def check_size(frames: Sequence[Atoms], path: str) -> list[str]:
    """Return a warning of stresses of unusual size; DataError for what no matter has."""
    size = float(np.median([np.abs(f.calc.results["stress"]).max() for f in frames]))
    if size > HIGHEST_STRESS:
        raise DataError(
            f"expected stresses in eV/Å³ in '{path}', got {size:.3g} ({160.2 * size:.3g} GPa) in "
            f"half of the frames or more; convert them from kbar or GPa, or pass --trust-units"
        )
    if not USUAL_STRESS[0] < size < USUAL_STRESS[1]:
        return [f"stresses of {size:.3g} eV/Å³ (median) are unusual; check their unit"]
    return []
