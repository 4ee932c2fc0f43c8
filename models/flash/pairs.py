"""What a network learns: states at constant energy, and where they are a stride later.

Newton's equations know no direction of time: each pair is a second one, from its end to its start,
with momenta the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base import Structure
from ..errors import DataError

__all__ = ["Pair", "Trajectory", "make_pairs", "masses_by_species", "split"]

Array = NDArray[np.float64]
ROUNDING = 1e-3  # of a step between frames
HELD_OUT = 0.1


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Frames at constant energy.

    Attributes:
        name: for messages.
        numbers: atomic numbers, shape (N,).
        masses: amu, shape (N,).
        pbc: periodic directions, shape (3,).
        times: fs, shape (T,).
        positions: Å, atoms not put back into the cell, shape (T, N, 3).
        momenta: (eV amu)^½, shape (T, N, 3).
        cell: vectors as rows, Å, shape (3, 3).
    """

    name: str
    numbers: NDArray[np.int_]
    masses: Array
    pbc: NDArray[np.bool_]
    times: Array
    positions: Array
    momenta: Array
    cell: Array


@dataclass(frozen=True, eq=False)
class Pair:
    """A state and what a stride makes of it.

    Attributes:
        structure: N atoms.
        momenta: (eV amu)^½, shape (N, 3).
        moved: displacements, Å, shape (N, 3).
        gained: changes of the momenta, shape (N, 3).
    """

    structure: Structure
    momenta: Array
    moved: Array
    gained: Array


def make_pairs(trajectory: Trajectory, stride_fs: float, every_fs: float | None) -> list[Pair]:
    """Pairs of a trajectory, each with its reverse.

    Args:
        trajectory: at constant energy.
        stride_fs: from the first state to the second.
        every_fs: from one pair to the next; ``None`` for the time in which momenta lose half of
            their autocorrelation.

    Raises:
        DataError: if frames do not stand a whole part of the stride apart, or are too few.
    """
    t = trajectory
    spacing = float(np.diff(t.times).min()) if len(t.times) > 1 else np.inf
    ahead = round(stride_fs / spacing)
    same = len(t.times) > 1 and np.allclose(np.diff(t.times), spacing, rtol=ROUNDING)
    if not same or ahead < 1 or abs(ahead * spacing - stride_fs) > ROUNDING * spacing:
        raise DataError(
            f"expected frames a whole part of {stride_fs:g} fs apart in '{t.name}', got "
            f"{len(t.times)} frames {spacing:g} fs apart; write positions and velocities that often"
        )
    every = correlation_length(t) if every_fs is None else max(1, round(every_fs / spacing))
    pairs = []
    for first in range(0, len(t.times) - ahead, every):
        one, other = t.positions[[first, first + ahead]]
        p, new = t.momenta[[first, first + ahead]]
        pairs.append(Pair(_structure(t, one), p, other - one, new - p))
        pairs.append(Pair(_structure(t, other), -new, one - other, new - p))
    return pairs


def correlation_length(trajectory: Trajectory) -> int:
    """Frames until the mass-weighted velocities have lost half of their autocorrelation."""
    v = trajectory.momenta / np.sqrt(trajectory.masses)[:, None]
    whole = float((v**2).mean())
    for lag in range(1, len(v) // 2):
        if float((v[:-lag] * v[lag:]).mean()) < 0.5 * whole:
            return lag
    return max(1, len(v) // 2)


def split(groups: Sequence[list[Pair]]) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on and to measure on: the last trajectories, or the end of a single one.

    Raises:
        DataError: if there is nothing to measure on.
    """
    if len(groups) > 1:
        held_out = max(1, round(HELD_OUT * len(groups)))
        parts = groups[:-held_out], groups[-held_out:]
    else:
        (pairs,) = groups
        cut = len(pairs) - 2 * max(1, round(HELD_OUT * len(pairs) / 2))  # a pair and its reverse
        parts = [pairs[:cut]], [pairs[cut:]]
    train, test = ([pair for pairs in part for pair in pairs] for part in parts)
    if not train or not test:
        raise DataError(
            f"expected pairs to train on and others to measure on, got {len(train)} and "
            f"{len(test)}; give longer runs, or more of them"
        )
    return train, test


def masses_by_species(trajectories: Sequence[Trajectory]) -> dict[int, float]:
    """The mass of each atomic number, amu; DataError if one has several."""
    found: dict[int, float] = {}
    for t in trajectories:
        for number, mass in zip(t.numbers.tolist(), t.masses.tolist(), strict=True):
            if abs(found.setdefault(number, mass) - mass) > 1e-6 * mass:
                raise DataError(
                    f"expected one mass for atomic number {number}, got {found[number]:g} and "
                    f"{mass:g} amu in '{t.name}'; train a network without isotopes"
                )
    return found


def _structure(trajectory: Trajectory, positions: Array) -> Structure:
    return Structure(trajectory.numbers, positions, trajectory.cell, trajectory.pbc)
