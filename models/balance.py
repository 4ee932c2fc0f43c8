"""Whether forces belong to an energy: their work along a short path against what the energy loses.

=================  ==============================================================================
``d``              a random direction, independent normal components, shape (N, 3)
``x ± s d``        the ends of a path through the structure ``x``, ``s`` in Å
``W``              work of the forces from end to end, by Simpson's rule: exact to ``s⁵``
``W + ΔE``         zero, if the forces are minus the gradient of ``E``
``g``              ``(W + ΔE) / (2 s √3N)``, eV/Å: of forces ``-∇E + r`` it is ``r·d / √3N``, which
                   is the RMS of ``r`` on average over ``d``
=================  ==============================================================================

Rounding and noise of the energy are no work: along paths of other lengths they stay as they are,
and what the forces do in excess is proportional to the length. So a first look at one length
decides where it finds nothing, and several lengths where it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .base import ForceModel, ForceResult, Role, Structure
from .statistics import rms

__all__ = ["Balance", "balance", "balances"]

LENGTH = 0.02  # Å: short beside a bond, long beside the rounding of an energy in float32
LENGTHS = (0.25 * LENGTH, 0.5 * LENGTH, 0.75 * LENGTH, LENGTH)
TOLERANCE = 2e-3
"""Part of the forces. Forces that a network predicts directly are off by some hundredths."""
MIN_ERRORS = 5.0  # that the excess must be away from zero
ROUNDINGS = 4.0  # of energies of single precision, in a difference of two sums


@dataclass(frozen=True)
class Balance:
    """How forces and energy agree along one direction.

    Attributes:
        excess: ``g``, eV/Å.
        error: of it by rounding and noise.
        size: RMS of the force components, eV/Å.
    """

    excess: float
    error: float
    size: float

    @property
    def holds(self) -> bool:
        """Whether the forces can be those of the energy."""
        return abs(self.excess) <= max(TOLERANCE * self.size, MIN_ERRORS * self.error)


def balances(
    model: ForceModel, structures: Sequence[Structure], centres: Sequence[ForceResult], seed: int
) -> list[Balance]:
    """Take a first look at some structures in one batch, and a second one where it is needed.

    Args:
        model: has conservative forces.
        structures: where to look.
        centres: the conservative results there.
        seed: of the directions. No other random numbers are touched.
    """
    rng = np.random.default_rng(seed)
    directions = [rng.normal(size=structure.positions.shape) for structure in structures]
    paths = [_ends(s, d, LENGTH) for s, d in zip(structures, directions, strict=True)]
    ends = _evaluate(model, [end for path in paths for end in path])
    found = []
    for i, (structure, centre, direction) in enumerate(
        zip(structures, centres, directions, strict=True)
    ):
        first = _first_look(ends[2 * i : 2 * i + 2], centre, direction)
        found.append(first if first.holds else balance(model, structure, centre, direction))
    return found


def balance(
    model: ForceModel,
    structure: Structure,
    centre: ForceResult,
    direction: NDArray[np.float64],
    longest: float = LENGTH,
) -> Balance:
    """Look along one direction, shape (N, 3), at paths of several lengths up to ``longest``, Å."""
    lengths = np.array(LENGTHS) * (longest / LENGTH)
    ends = _evaluate(model, [end for s in lengths for end in _ends(structure, direction, s)])
    excess = np.array([
        _excess(ends[2 * i : 2 * i + 2], centre, direction, s) for i, s in enumerate(lengths)
    ])  # fmt: skip
    squares = float(lengths @ lengths)
    slope = float(lengths @ excess) / squares
    scatter = excess - slope * lengths
    error = np.sqrt(float(scatter @ scatter) / (len(lengths) - 1) / squares)
    scale = 2.0 * np.sqrt(direction.size)
    return Balance(slope / scale, float(error) / scale, _size(ends, centre))


def _first_look(
    ends: Sequence[ForceResult], centre: ForceResult, direction: NDArray[np.float64]
) -> Balance:
    scale = 2.0 * LENGTH * float(np.sqrt(direction.size))
    energies = np.array([end.energy for end in ends])
    single = energies.astype(np.float32)
    is_single = bool((single == energies).all())
    rounding = is_single * ROUNDINGS * float(np.spacing(np.abs(single)).max())
    excess = _excess(ends, centre, direction, LENGTH) / scale
    return Balance(excess, rounding / scale / MIN_ERRORS, _size(ends, centre))


def _ends(structure: Structure, direction: NDArray[np.float64], length: float) -> list[Structure]:
    x, d = structure.positions, length * direction
    return [replace(structure, positions=x + sign * d, slot=None) for sign in (1.0, -1.0)]


def _evaluate(model: ForceModel, structures: Sequence[Structure]) -> list[ForceResult]:
    role = Role.CONSERVATIVE
    return [results[role] for results in model.evaluate(structures, frozenset({role}))]


def _excess(
    ends: Sequence[ForceResult],
    centre: ForceResult,
    direction: NDArray[np.float64],
    length: float,
) -> float:
    """``W + ΔE`` along one path, eV."""
    up, down = ends
    forces = up.forces + 4.0 * centre.forces + down.forces
    work = length / 3.0 * float((forces * direction).sum())
    return work + up.energy - down.energy


def _size(ends: Sequence[ForceResult], centre: ForceResult) -> float:
    return rms(np.array([result.forces for result in (*ends, centre)]))
