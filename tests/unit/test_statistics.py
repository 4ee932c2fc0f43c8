"""Means, slopes and their errors, and as many digits as these bear."""

from __future__ import annotations

import numpy as np
import pytest

from halfkick.driver.statistics import _line, mean, slope, with_error


def correlated(rng: np.random.Generator, n: int, memory: float) -> np.ndarray:
    """An AR(1) series of unit variance."""
    values = np.empty(n)
    values[0] = rng.normal()
    kicks = rng.normal(size=n) * np.sqrt(1 - memory**2)
    for i in range(1, n):
        values[i] = memory * values[i - 1] + kicks[i]
    return values


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_statistics_errors_are_the_spread_of_repetitions(memory):
    rng = np.random.default_rng(1)
    x = np.linspace(0.0, 5.0, 2000)
    series = [correlated(rng, len(x), memory) for _ in range(200)]
    values, errors = np.array([mean(y) for y in series]).T
    assert 0.75 < np.median(errors) / values.std() < 1.35
    values, errors = np.array([slope(x, 0.3 * x + y) for y in series]).T
    assert values.mean() == pytest.approx(0.3, abs=4 * values.std() / 200**0.5)
    assert 0.9 < np.median(errors) / values.std() < 2.5  # it cannot be sure that nothing walks


@pytest.mark.parametrize("scatter", [0.0, 3.0])
def test_slope_error_knows_of_a_walk(scatter):
    """Of a quantity that goes up by chance kicks; the twin, a fitted line, is far too certain."""
    rng = np.random.default_rng(3)
    x = np.linspace(0.0, 5.0, 1000)
    walks = np.cumsum(rng.normal(size=(200, len(x))), axis=1)
    series = walks + scatter * rng.normal(size=walks.shape)
    values, errors = np.array([slope(x, y) for y in series]).T
    assert 0.7 < np.median(errors) / values.std() < 1.35
    values, errors = np.array([_line(x, y) for y in series]).T
    assert np.median(errors) / values.std() < 0.4


def test_statistics_twin_without_correlation_is_too_certain():
    """The twin: taken as independent, correlated values seem several times more certain."""
    rng = np.random.default_rng(2)
    values = np.array([correlated(rng, 2000, 0.9) for _ in range(200)])
    naive = values.std(axis=1) / np.sqrt(2000)
    assert np.median(naive) / values.mean(axis=1).std() < 0.3


def test_slope_is_the_fitted_one():
    x, y = np.array([0.0, 1.0, 3.0, 4.0]), np.array([1.0, 2.0, 2.5, 5.0])
    assert slope(x, y)[0] == pytest.approx(np.polyfit(x, y, 1)[0])


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-0.00742, 0.0064, "-0.0074 ± 0.0064"),
        (301.23, 12.3, "301 ± 12"),
        (958.826517, 5.1e-14, "959"),
        (958.826517, 0.0, "959"),
        (958.826517, None, "959"),
        (12345.678, float("nan"), "12346"),
        (0.0, 0.0, "0"),
        (0.0, 3e-7, "0.00000000 ± 0.00000030"),
    ],
)
def test_digits_are_those_that_the_error_bears(value, error, text):
    assert with_error(value, error) == text


@pytest.mark.parametrize("value", [0.0, 958.826517, -1e-300, -2081.1234567890123])
@pytest.mark.parametrize("n", [3, 10, 1000])
def test_statistics_of_what_is_constant_have_no_error(value, n):
    """The twin: as soon as it moves by more than rounding, it has one."""
    x, y = np.linspace(0.0, 1.0, n), np.full(n, value) * (1.0 + 1e-15 * np.arange(n) % 2e-15)
    assert mean(y) == (pytest.approx(value), 0.0)
    assert slope(x, y) == (0.0, 0.0)
    moving = y + 1e-6 * np.sin(7.0 * np.arange(n))
    assert mean(moving)[1] > 0.0 and slope(x, moving)[1] > 0.0


@pytest.mark.parametrize("n", [0, 1, 2])
def test_statistics_of_few_rows_determine_little(n):
    values = np.arange(n, dtype=float)
    assert mean(values) == ((None, None) if n == 0 else (values.mean(), None))
    assert slope(values, values) == ((1.0, None) if n == 2 else (None, None))
