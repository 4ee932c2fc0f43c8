"""Whether forces belong to an energy: their work along a short path against what the energy loses.

=================  ==============================================================================
``d``              a random direction, independent normal components, shape (N, 3)
``x ± s d``        the ends of a path, ``s`` in Å; ``x`` is the structure, moved off at random: at
                   a minimum or in a perfect crystal a curl would cancel along a straight path
``W``              work of the forces from end to end, by Simpson's rule: exact to ``s⁵``
``W + ΔE``         zero, if the forces are minus the gradient of ``E``
``g``              ``(W + ΔE) / (2 s √3N)``, eV/Å: of forces ``-∇E + r`` it is ``r·d / √3N``, which
                   is the RMS of ``r`` on average over ``d``
=================  ==============================================================================

Along paths of several lengths, work in excess is proportional to the length. Rounding and noise of
the energy are not, nor are the jumps of an energy where pairs cross a cutoff. So a first look at
one length decides where it finds nothing, and a second one at several lengths where it does: the
slope of ``W + ΔE`` in ``s``, which must be many times its error before it counts. For a network
that predicts forces directly it was 37 times its error, for CHGNet, whose energy jumps, up to 5.
Where the energy is too noisy to tell, forces pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .base import ForceModel, ForceResult, Role, Structure
from .statistics import rms

__all__ = ["Balance", "balance"]

OFFSET = 0.03  # Å, of each coordinate
LENGTH = 0.02  # Å: short beside a bond, long beside the rounding of an energy in float32
LENGTHS = np.array([LENGTH / 8, LENGTH / 4, LENGTH / 2, LENGTH])
DIRECTIONS = 2, 3  # of the first and the second look
TOLERANCE = 2e-3
"""Part of the forces. Those that a network predicts directly are off by some hundredths."""
MIN_ERRORS = 8.0
ROUNDINGS = 4.0  # of energies in single precision, in a difference of two

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Balance:
    """How forces and energy agree.

    Attributes:
        excess: ``g``, RMS over directions, eV/Å.
        error: of it by rounding, noise and jumps.
        size: RMS of the force components, eV/Å.
        is_second_look: whether it comes from several lengths.
    """

    excess: float
    error: float
    size: float
    is_second_look: bool = False

    @property
    def holds(self) -> bool:
        """Whether the forces can be those of the energy."""
        return self.excess <= max(TOLERANCE * self.size, MIN_ERRORS * self.error)


def balance(
    model: ForceModel,
    structure: Structure,
    *,
    seed: int = 0,
) -> Balance:
    """Compare the conservative forces of a model with its energy.

    Args:
        model: has conservative forces. It is evaluated 5 times, or 29 times if there is doubt.
        structure: where to look; its slot is left alone.
        seed: of the directions. No other random numbers are touched.
    """
    shape = structure.positions.shape
    rng = np.random.default_rng(seed)
    moved = structure.positions + OFFSET * rng.normal(size=shape)
    structure = replace(structure, positions=moved, slot=None)
    (centre,) = _evaluate(model, [structure])
    found = _first_look(model, structure, centre, rng.normal(size=(DIRECTIONS[0], *shape)))
    if found.holds:
        return found
    return _second_look(model, structure, centre, rng.normal(size=(DIRECTIONS[1], *shape)))


def _first_look(
    model: ForceModel, structure: Structure, centre: ForceResult, directions: Array
) -> Balance:
    """Along paths of one length; the error is the rounding of energies in single precision."""
    excesses, ends = _excesses(model, structure, centre, directions, LENGTHS[-1:])
    energies = np.array([end.energy for end in ends])
    single = energies.astype(np.float32)
    is_single = bool((single == energies).all())
    rounding = is_single * ROUNDINGS * float(np.spacing(np.abs(single)).max()) / MIN_ERRORS
    scale = 2.0 * LENGTH * float(np.sqrt(centre.forces.size))
    return Balance(rms(excesses) / scale, rounding / scale, _size(ends, centre))


def _second_look(
    model: ForceModel, structure: Structure, centre: ForceResult, directions: Array
) -> Balance:
    """Along paths of several lengths; the error is that of a line through the origin."""
    excesses, ends = _excesses(model, structure, centre, directions, LENGTHS)
    squares = float(LENGTHS @ LENGTHS)
    slopes = excesses @ LENGTHS / squares
    scatter = excesses - slopes[:, None] * LENGTHS
    variance = float((scatter**2).sum()) / len(slopes) / (len(LENGTHS) - 1) / squares
    scale = 2.0 * float(np.sqrt(centre.forces.size))
    error = float(np.sqrt(variance)) / scale
    return Balance(rms(slopes) / scale, error, _size(ends, centre), is_second_look=True)


def _excesses(
    model: ForceModel, structure: Structure, centre: ForceResult, directions: Array, lengths: Array
) -> tuple[Array, list[ForceResult]]:
    """``W + ΔE``, eV, for each direction and length, and the results at all ends."""
    x, steps = structure.positions, [s * d for d in directions for s in lengths]
    ends = [replace(structure, positions=x + e) for d in steps for e in (d, -d)]
    results = _evaluate(model, ends)
    excesses = [
        float(((up.forces + 4.0 * centre.forces + down.forces) * step).sum()) / 3.0
        + up.energy - down.energy
        for step, up, down in zip(steps, results[::2], results[1::2], strict=True)
    ]  # fmt: skip
    return np.reshape(excesses, (len(directions), len(lengths))), results


def _evaluate(model: ForceModel, structures: Sequence[Structure]) -> list[ForceResult]:
    """One by one: a batch would start threads, and as long as they are there OpenMP's are lazier.

    A run of one bead then takes a seventh longer to its end.
    """
    role = Role.CONSERVATIVE
    return [model.evaluate([s], frozenset({role}))[0][role] for s in structures]


def _size(ends: Sequence[ForceResult], centre: ForceResult) -> float:
    return rms([result.forces for result in (*ends, centre)])
