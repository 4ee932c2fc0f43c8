"""Observables with their errors, and how far those of two runs are apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ....models.statistics import rms
from ...statistics import mean

__all__ = [
    "BLOCKS",
    "Curve",
    "Quantity",
    "Scalar",
    "average",
    "blocked",
    "deviation",
    "difference",
    "memory",
    "parts",
]

BLOCKS = 8


class Quantity(Enum):
    """What a scalar is, for those that look it up."""

    DRIFT = "drift"
    TEMPERATURE = "temperature"
    KINETIC_ENERGY = "kinetic energy"
    GYRATION = "radius of gyration"


@dataclass(frozen=True)
class Scalar:
    """A value with its standard error, ``None`` where the run does not tell it.

    Attributes:
        name: as shown; unique in a run.
        unit: of value and error.
        quantity: what it is, ``None`` if nobody looks it up.
        species: label of the atoms it is of, ``None`` for all.
        remark: what must be known of it, empty for nothing.
    """

    name: str
    unit: str
    value: float
    error: float | None
    quantity: Quantity | None = None
    species: str | None = None
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve with its standard error at each point.

    Attributes:
        group: curves of one group go into one plot.
        name: what tells it from the others of its group.
        x: shape (points,), as ``y``, ``error`` and ``theory``.
        error: standard error of ``y``; NaN where it is not known.
        only: whether it is the only one of its group, so that its panel needs no title.
        theory: what ``y`` should be, where theory tells.
    """

    group: str
    name: str
    x_label: str
    y_label: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    error: NDArray[np.float64]
    only: bool = False
    theory: NDArray[np.float64] | None = None


def average(
    name: str,
    unit: str,
    values: NDArray[np.float64],
    quantity: Quantity | None = None,
    species: str | None = None,
) -> Scalar:
    """The mean of a series of shape (rows,), its error by block averages."""
    value, error = mean(values)
    return Scalar(name, unit, float("nan") if value is None else value, error, quantity, species)


def parts(
    count: int, measure: Callable[[slice], NDArray[np.float64]], blocks: int = BLOCKS
) -> NDArray[np.float64]:
    """Measure equal parts of ``count`` things one after the other, fewer if there are fewer things.

    Args:
        count: frames, or atoms.
        measure: gives the curve of some of them, shape (points,).
        blocks: how many parts.

    Returns:
        A curve for each part, shape (parts, points).
    """
    edges = np.linspace(0, count, max(1, min(blocks, count)) + 1).astype(int)
    return np.array([measure(slice(a, b)) for a, b in pairwise(edges)])


def blocked(
    frames: int, measure: Callable[[slice], NDArray[np.float64]], blocks: int = BLOCKS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard error of the curves of parts of a trajectory, both of shape (points,).

    The error takes into account what lasts longer than a part: see :func:`memory`. Errors of a
    single part are NaN.

    Args:
        frames: of the trajectory.
        measure: gives the curve of some of them, shape (points,).
        blocks: how many parts.
    """
    values = parts(frames, measure, blocks)
    if len(values) < 2:
        return values[0], np.full_like(values[0], np.nan)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return values.mean(axis=0), error * np.sqrt(memory(values))


def memory(values: NDArray[np.float64]) -> float:
    """By how much the variance of a mean is larger than if parts of a run were independent.

    The largest ratio when parts are joined by two, by four and so on down to two halves (Flyvbjerg
    and Petersen, J. Chem. Phys. 91, 461 (1989)), at least 1. Halves say little about one point of
    a curve, but much about all of them together: variances are summed over the points.

    ==========================================  ===================================
    variance of the mean, parts independent     ``independent``: Σ var(values) / n
    the same with joined parts                  ``var(joined).sum() / len(joined)``
    ratio of the two, the largest               ``largest``
    ==========================================  ===================================

    Args:
        values: a curve for each part, shape (parts, points).
    """
    independent = float(values.var(axis=0, ddof=1).sum()) / len(values)
    largest, joined = 1.0, values
    while len(joined) >= 4 and independent > 0.0:
        joined = joined[: len(joined) // 2 * 2].reshape(-1, 2, values.shape[1]).mean(axis=1)
        variance = float(joined.var(axis=0, ddof=1).sum()) / len(joined)
        largest = max(largest, variance / independent)
    return largest


def difference(one: Scalar, other: Scalar) -> float | None:
    """``(one - other)`` in units of its standard error; ``None`` where that is not known."""
    if one.error is None or other.error is None:
        return None
    error = np.hypot(one.error, other.error)
    return float((one.value - other.value) / error) if error > 0 else None


def deviation(one: Curve, other: Curve) -> float | None:
    """RMS over the points of a difference in units of its standard error: about 1 for equals.

    At the points of ``one`` that both curves reach; ``None`` where no error is known.
    """
    start, end = max(one.x[0], other.x[0]), min(one.x[-1], other.x[-1])
    inside = (one.x >= start) & (one.x <= end)
    x = one.x[inside]
    y, error = (np.interp(x, other.x, v) for v in (other.y, other.error))
    spread = np.hypot(one.error[inside], error)
    known = np.isfinite(spread) & (spread > 1e-3 * np.nanmax(spread, initial=0.0))
    if not known.any():
        return None
    return rms((one.y[inside] - y)[known] / spread[known])
