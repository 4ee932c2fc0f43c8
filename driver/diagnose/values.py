"""Figures and curves with their errors, and how far those of two runs are apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from halfkick.driver.run.estimate import mean

__all__ = ["BLOCKS", "Curve", "Scalar", "average", "blocked", "deviation", "difference"]

BLOCKS = 8


@dataclass(frozen=True)
class Scalar:
    """A figure with its standard error, ``None`` where the run does not tell it."""

    name: str
    unit: str
    value: float
    error: float | None


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve with its standard error at each point.

    Attributes:
        group: curves of one group go into one picture.
        name: what tells it from the others of its group.
    """

    group: str
    name: str
    x_label: str
    y_label: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    error: NDArray[np.float64]


def average(name: str, unit: str, values: NDArray[np.float64]) -> Scalar:
    """The mean of a series, its error by block averages."""
    value, error = mean(values)
    return Scalar(name, unit, float("nan") if value is None else value, error)


def blocked(
    frames: int, measure: Callable[[slice], NDArray[np.float64]], blocks: int = BLOCKS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure parts of a trajectory one after the other.

    Args:
        frames: how many there are.
        measure: gives the curve of some frames.
        blocks: how many parts; fewer if there are fewer frames.

    Returns:
        Mean and standard error of the parts' curves; errors are NaN for a single part.
    """
    edges = np.linspace(0, frames, max(1, min(blocks, frames)) + 1).astype(int)
    parts = [measure(slice(a, b)) for a, b in pairwise(edges)]
    values = np.array(parts)
    if len(parts) < 2:
        return values[0], np.full_like(values[0], np.nan)
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(parts))


def difference(one: Scalar, other: Scalar) -> float | None:
    """``(one - other)`` in units of its standard error; ``None`` where that is not known."""
    if one.error is None or other.error is None:
        return None
    error = np.hypot(one.error, other.error)
    return float((one.value - other.value) / error) if error > 0 else None


def deviation(one: Curve, other: Curve) -> float | None:
    """RMS over the points of a difference in units of its standard error: about 1 for equals."""
    start, end = max(one.x[0], other.x[0]), min(one.x[-1], other.x[-1])
    inside = (one.x >= start) & (one.x <= end)
    x = one.x[inside]
    y, error = (np.interp(x, other.x, v) for v in (other.y, other.error))
    spread = np.hypot(one.error[inside], error)
    known = np.isfinite(spread) & (spread > 1e-3 * np.nanmax(spread, initial=0.0))
    if not known.any():
        return None
    return float(np.sqrt(np.mean(((one.y[inside] - y)[known] / spread[known]) ** 2)))
