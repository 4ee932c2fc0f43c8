"""Means and slopes of correlated series, with honest errors."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "mean", "slope", "with_error"]

Estimate = tuple[float | None, float | None]
"""A value and its standard error; ``None`` where the data do not determine it."""

MIN_BLOCKS = 8


def mean(values: NDArray[np.float64]) -> Estimate:
    """Mean of a stationary series, with the standard error by block averages."""
    n = len(values)
    if n == 0:
        return None, None
    if n < 3:
        return float(values.mean()), None
    error = np.sqrt(values.var(ddof=1) * _inefficiency(values) / n)
    return float(values.mean()), float(error)


def slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> Estimate:
    """Slope of a straight line fitted to ``y(x)``, with its standard error.

    The error is that of ordinary least squares, widened by the square root of the statistical
    inefficiency of the residuals, which follow each other closely in a trajectory.
    """
    n = len(x)
    if n < 2:
        return None, None
    dx, dy = x - x.mean(), y - y.mean()
    spread = float(dx @ dx)
    if spread == 0.0:
        return None, None
    value = float(dx @ dy) / spread
    if n < 3:
        return value, None
    residuals = dy - value * dx
    variance = float(residuals @ residuals) / (n - 2)
    return value, float(np.sqrt(variance * _inefficiency(residuals) / spread))


def with_error(value: float, error: float | None) -> str:
    """Both to the second figure of the error, ``-0.0074 ± 0.0064``."""
    if not error:
        return f"{value:.3g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def _inefficiency(values: NDArray[np.float64]) -> float:
    """How many values are worth one independent value: the largest over block lengths.

    For blocks of ``b`` values it is ``b`` times the variance of block means over the variance of
    the values (Flyvbjerg and Petersen, J. Chem. Phys. 91, 461 (1989)), at least 1; at least eight
    blocks are asked for.
    """
    variance = float(values.var())
    if variance == 0.0:
        return 1.0
    best, length = 1.0, 2
    while len(values) // length >= MIN_BLOCKS:
        blocks = values[: len(values) // length * length].reshape(-1, length).mean(axis=1)
        best = max(best, length * float(blocks.var(ddof=1)) / variance)
        length *= 2
    return best
