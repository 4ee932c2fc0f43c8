"""Means and slopes of correlated series, with their standard errors."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "mean", "slope", "with_error"]

Estimate = tuple[float | None, float | None]
"""A value and its standard error; ``None`` where the data do not determine it."""

MIN_BLOCKS = 8
WALK_BLOCKS = 32
ROUNDING = 1e-12  # of equal values, their means and differences, to their size
PRINTED = 1e-8  # i-PI writes nine digits: a smaller part of a value is none of it
WALK_RATIOS = (0.0, *np.logspace(-4, 3, 29).tolist())  # walk's variance by block to scatter's


def mean(values: NDArray[np.float64]) -> Estimate:
    """Mean of a stationary series, with the standard error by block averages.

    ``σ² = s² g / n``:

    ====  =====================================================
    s²    ``values.var(ddof=1)``
    g     :func:`_inefficiency`: values worth one independent one
    n     ``n``
    ====  =====================================================

    Args:
        values: shape (rows,), in any unit.

    Returns:
        Mean and error in the same unit.
    """
    n = len(values)
    if n == 0:
        return None, None
    if n < 3:
        return float(values.mean()), None
    if _all_equal(values):
        return float(values[0]), 0.0
    error = np.sqrt(values.var(ddof=1) * _inefficiency(values) / n)
    return float(values.mean()), float(error)


def slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> Estimate:
    """Steady slope of ``y(x)``, ``x`` evenly spaced, where ``y`` also walks at random and scatters.

    Energy that comes by chance kicks does a random walk: residuals of a fitted line look small and
    smooth, and another run has another slope. So increments of block means are taken for those of
    a walk with a slope plus scatter, and slope and error are averaged over the ratio of the two,
    each weighted by its restricted likelihood (Patterson and Thompson, Biometrika 58, 545 (1971)).
    A series of fewer than sixteen values gets a straight line fitted instead.

    ==========================  ================================================
    d_i = ȳ_(i+1) − ȳ_i         ``steps`` between means of blocks
    Δx                          ``spacing`` of the blocks
    ρ = σ²_walk / σ²_scatter    each of ``WALK_RATIOS``
    b(ρ) Δx, its variance       ``values``, ``variances``
    L(ρ) / Σ L                  ``weights``
    ==========================  ================================================

    Args:
        x: shape (rows,), in any unit.
        y: shape (rows,), in any unit.

    Returns:
        Slope and error, in the unit of ``y`` over that of ``x``.
    """
    n = len(x)
    if n < 2 or np.ptp(x) == 0.0:
        return None, None
    if _all_equal(y):
        return 0.0, 0.0 if n > 2 else None
    if n < 2 * MIN_BLOCKS:
        return _line(x, y)
    length = max(1, n // WALK_BLOCKS)
    used = n // length * length
    time, level = (v[n - used :].reshape(-1, length).mean(axis=1) for v in (x, y))
    steps, spacing = np.diff(level), float(np.diff(time).mean())
    if np.ptp(steps) <= 1e-12 * np.abs(steps).max():
        return float(steps.mean()) / spacing, 0.0
    values, variances, weights = np.array([_walk(steps, ratio) for ratio in WALK_RATIOS]).T
    weights = np.exp(weights - weights.max())
    weights /= weights.sum()
    value = float(weights @ values)
    error = float(np.sqrt(weights @ (variances + (values - value) ** 2)))
    return value / spacing, error / spacing


def _walk(steps: NDArray[np.float64], ratio: float) -> tuple[float, float, float]:
    """Mean of the steps of a walk plus scatter, its variance and the restricted log likelihood.

    Means of blocks of a walk have steps with 2/3 of its variance on the diagonal of their
    covariance and 1/6 beside it; the steps of independent scatter have 2 and −1 of its variance.
    With the shape C of the covariance known, its size is estimated from what the mean leaves.

    ============================================  ============================
    C = ρ/(1+ρ) [2/3, 1/6] + 1/(1+ρ) [2, −1]      ``covariance``
    1ᵀ C⁻¹ 1                                      ``precision``
    m = 1ᵀ C⁻¹ d / 1ᵀ C⁻¹ 1                       ``mean``
    s² = (d − m)ᵀ C⁻¹ (d − m) / (k − 1)           ``size``
    −[(k−1) ln s² + ln|C| + ln 1ᵀ C⁻¹ 1] / 2      ``likelihood``
    ============================================  ============================

    Args:
        steps: d, shape (k,).
        ratio: ρ of the walk's variance to the scatter's.
    """
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
    """Slope of the line of least squares through a few points, both of shape (rows,).

    ``b = Σ dx dy / Σ dx²`` and ``σ² = Σ (dy − b dx)² g / (n − 2) Σ dx²``:

    ==========  ==============================
    dx, dy      ``dx``, ``dy``: from the means
    b           ``value``
    dy − b dx   ``rest``
    g           :func:`_inefficiency` of it
    Σ dx²       ``spread``
    ==========  ==============================
    """
    dx, dy = x - x.mean(), y - y.mean()
    spread = float(dx @ dx)
    value = float(dx @ dy) / spread
    if len(x) < 3:
        return value, None
    rest = dy - value * dx
    variance = float(rest @ rest) / (len(x) - 2)
    return value, float(np.sqrt(variance * _inefficiency(rest) / spread))


def with_error(value: float, error: float | None) -> str:
    """Format both to the second digit of the error: ``-0.0074 ± 0.0064``.

    Three digits or all before the point of a value without error, or with one that is smaller than
    the last digit that i-PI writes.
    """
    if not error or not math.isfinite(error) or error < PRINTED * abs(value):
        return f"{value:.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.3g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def _all_equal(values: NDArray[np.float64]) -> bool:
    """Whether values of shape (rows,) differ by rounding alone."""
    return float(np.ptp(values)) <= ROUNDING * float(np.abs(values).max())


def _inefficiency(values: NDArray[np.float64]) -> float:
    """How many values are worth one independent value: the largest over block lengths.

    For blocks of b values it is ``g(b) = b s²_b / s²`` (Flyvbjerg and Petersen, J. Chem. Phys. 91,
    461 (1989)), at least 1; at least eight blocks are asked for.

    ====  ==================================================
    b     ``length`` of a block: 2, 4, 8, …
    s²_b  variance of ``blocks``, the means
    s²    ``variance`` of the values
    g     ``largest`` over b
    ====  ==================================================

    Args:
        values: shape (rows,).
    """
    variance = float(values.var())
    if variance == 0.0:
        return 1.0
    largest, length = 1.0, 2
    while len(values) // length >= MIN_BLOCKS:
        blocks = values[: len(values) // length * length].reshape(-1, length).mean(axis=1)
        largest = max(largest, length * float(blocks.var(ddof=1)) / variance)
        length *= 2
    return largest
