"""Conservative forces and virial against differences of the energy.

=============  ==============
``-dE/dx``     forces
``-dE/dε``     virial
``h``          ``Case.step``
=============  ==============

Central differences: ``dE/dx ≈ (E(x + h) - E(x - h)) / 2h``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..base import Role, Structure
from .case import UNITS, Array, Case, strained

__all__ = ["check_derivatives"]

MIN_SIGNAL = 10.0
"""Tolerances by which something must differ from zero: a test of zeros would show nothing."""

ROUNDING = 1e-7
"""Relative error of central differences in float64."""

DERIVATIVES = {"forces": "-dE/dx", "virial": "-dE/dε"}

FACTORS = {
    -1.0: "the sign is wrong",
    2.0: "pairs may be counted twice",
    0.5: "pairs may be counted once instead of twice",
    1000.0: "they may be in meV",
    0.001: "the energy may be in meV",
    27.211386: "they may be in hartree",
    1 / 27.211386: "the energy may be in hartree",
    51.422067: "they may be in hartree/bohr",
    1 / 51.422067: "they may be in hartree/bohr",
    0.529177: "lengths may be in bohr",
    1 / 0.529177: "lengths may be in bohr",
    23.060548: "they may be in kcal/mol",
    96.485332: "they may be in kJ/mol",
}
"""What a factor between a derivative and the differences tells."""


def check_derivatives(case: Case) -> None:
    """Check forces of some atoms, and the virial where it is not zero for want of a cell."""
    capabilities = case.model.capabilities
    if Role.CONSERVATIVE not in capabilities.roles:
        return
    signals: dict[str, float] = {"forces": 0.0}
    for name, structure in case.named():
        result = case.evaluate(structure)[Role.CONSERVATIVE]
        chosen = np.sort(case.rng.permutation(len(structure.numbers))[: case.atoms])
        pairs = {"forces": (result.forces[chosen], _forces(case, structure, chosen))}
        has_cell = structure.pbc.all() or result.virial.any()
        if Role.CONSERVATIVE in capabilities.stress and has_cell:
            pairs["virial"] = (result.virial, _virial(case, structure))
        for quantity, (given, differences) in pairs.items():
            _compare(case, f"{quantity} of {name}", quantity, given, differences)
            signal = float(np.abs(differences).max(initial=0.0))
            signals[quantity] = max(signals.get(quantity, 0.0), signal)
    for quantity, signal in signals.items():
        if signal < MIN_SIGNAL * case.tolerance:
            case.fail(
                f"structures with {quantity} well above the tolerance of {case.tolerance:.0e} "
                f"{UNITS[quantity]}",
                f"at most {signal:.1e}; displace their atoms",
            )


def _compare(case: Case, name: str, quantity: str, given: Array, differences: Array) -> None:
    errors = np.abs(given - differences)
    if (errors <= case.tolerance + ROUNDING * np.abs(differences)).all():
        return
    worst = np.unravel_index(errors.argmax(), errors.shape)
    case.fail(
        f"{name} to be {DERIVATIVES[quantity]} to {case.tolerance:.0e} {UNITS[quantity]}",
        f"{given[worst]:.7g} where differences of the energy give {differences[worst]:.7g}"
        + _explain(given, differences),
    )


def _explain(given: Array, differences: Array) -> str:
    """Say whether all numbers are wrong by one factor, and what it may come from."""
    if not differences.any():
        return ""
    factor = float((given * differences).sum() / (differences**2).sum())
    wrong = abs(factor - 1) > 0.02
    if not wrong or np.abs(given - factor * differences).max() > 0.02 * np.abs(given).max():
        return ""
    hints = [f": {hint}" for known, hint in FACTORS.items() if abs(factor / known - 1) < 0.02]
    return f"; all are wrong by a factor of {factor:.4g}{hints[0] if hints else ''}"


def _forces(case: Case, structure: Structure, chosen: NDArray[np.int_]) -> Array:
    """``-dE/dx`` of the atoms in ``chosen``, shape (A,); returns shape (A, 3), eV/Å."""

    def moved(atom: int, axis: int) -> Callable[[float], Structure]:
        def by(distance: float) -> Structure:
            positions = structure.positions.copy()
            positions[atom, axis] += distance
            return replace(structure, positions=positions)

        return by

    slopes = [_slope(case, moved(atom, axis)) for atom, axis in product(chosen, range(3))]
    return -np.reshape(slopes, (-1, 3))


def _virial(case: Case, structure: Structure) -> Array:
    """``-dE/dε`` for symmetric strains, shape (3, 3), eV."""

    def deformed(a: int, b: int) -> Callable[[float], Structure]:
        def by(size: float) -> Structure:
            strain = np.zeros((3, 3))
            strain[a, b] += 0.5 * size
            strain[b, a] += 0.5 * size
            return strained(structure, strain)

        return by

    result = np.zeros((3, 3))
    for a, b in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)):
        result[a, b] = result[b, a] = -_slope(case, deformed(a, b))
    return result


def _slope(case: Case, change: Callable[[float], Structure]) -> float:
    """The derivative of the energy by the size of a change."""
    up, down = (case.energy(change(sign * case.step)) for sign in (1, -1))
    return (up - down) / (2 * case.step)
