"""Means and slopes of correlated series, with honest errors."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "mean", "slope", "with_error"]

Estimate = tuple[float | None, float | None]
"""A value and its standard error; ``None`` where the data do not determine it."""

MIN_BLOCKS = 8
WALK_BLOCKS = 32
RATIOS = (0.0, *np.logspace(-4, 3, 29).tolist())  # of a walk's variance by block to the scatter's


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
    """Steady slope of ``y(x)``, ``x`` evenly spaced, where ``y`` also walks at random and scatters.

    Energy that comes by chance kicks does a random walk: residuals of a fitted line look small and
    smooth, and another run has another slope. So increments of block means are taken for those of
    a walk with a slope plus scatter (their covariance has 2/3 and 1/6 of the walk's variance beside
    the diagonal, 2 and -1 of the scatter's), and slope and error are averaged over the ratio of the
    two, each weighted by its restricted likelihood. A series of fewer than sixteen values gets a
    straight line fitted instead.
    """
    n = len(x)
    if n < 2 or np.ptp(x) == 0.0:
        return None, None
    if n < 2 * MIN_BLOCKS:
        return _line(x, y)
    length = max(1, n // WALK_BLOCKS)
    used = n // length * length
    time, level = (v[n - used :].reshape(-1, length).mean(axis=1) for v in (x, y))
    steps, spacing = np.diff(level), float(np.diff(time).mean())
    if np.ptp(steps) <= 1e-12 * np.abs(steps).max():
        return float(steps.mean()) / spacing, 0.0
    values, variances, weights = np.array([_walk(steps, ratio) for ratio in RATIOS]).T
    weights = np.exp(weights - weights.max())
    weights /= weights.sum()
    value = float(weights @ values)
    error = float(np.sqrt(weights @ (variances + (values - value) ** 2)))
    return value / spacing, error / spacing


def _walk(steps: NDArray[np.float64], ratio: float) -> tuple[float, float, float]:
    """Mean of ``steps``, its variance and the log likelihood, for a walk over scatter ``ratio``."""
    k = len(steps)
    walk, scatter = ratio / (1.0 + ratio), 1.0 / (1.0 + ratio)
    covariance = np.eye(k) * (2.0 / 3.0 * walk + 2.0 * scatter)
    covariance += (np.eye(k, k=1) + np.eye(k, k=-1)) * (walk / 6.0 - scatter)
    inverse = np.linalg.inv(covariance)
    precision = float(inverse.sum())
    mean = float(inverse.sum(axis=0) @ steps) / precision
    rest = steps - mean
    size = float(rest @ inverse @ rest) / (k - 1)
    log_det = float(np.linalg.slogdet(covariance)[1])
    likelihood = -0.5 * ((k - 1) * math.log(size) + log_det + math.log(precision))
    return mean, size / precision, likelihood


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> Estimate:
    """Slope of the line of least squares through a few points."""
    dx, dy = x - x.mean(), y - y.mean()
    spread = float(dx @ dx)
    value = float(dx @ dy) / spread
    if len(x) < 3:
        return value, None
    rest = dy - value * dx
    variance = float(rest @ rest) / (len(x) - 2)
    return value, float(np.sqrt(variance * _inefficiency(rest) / spread))


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
