"""Curves and figures with their errors: how far two are apart, and several together."""

from __future__ import annotations

import numpy as np
import pytest

from halfkick.driver.study.analysis.collect import pooled
from halfkick.driver.study.analysis.observables import (
    Curve,
    Scalar,
    blocked,
    deviation,
    difference,
    memory,
    parts,
)


def test_observables_differ_in_units_of_their_error():
    one, other = Scalar("t", "K", 300.0, 3.0), Scalar("t", "K", 310.0, 4.0)
    assert difference(other, one) == pytest.approx(2.0)
    assert difference(one, Scalar("t", "K", 310.0, None)) is None


def noisy_curve(rng, shift=0.0):
    x = np.linspace(0, 5, 200)
    y, error = blocked(400, lambda part: np.sin(x) + shift + rng.normal(size=200) / 7.0)
    return Curve("g", "a", "", "", x, y, error)


def test_curves_alike_and_not_are_told_apart():
    rng = np.random.default_rng(5)
    same = [deviation(noisy_curve(rng), noisy_curve(rng)) for _ in range(20)]
    assert 0.9 < np.mean(same) < 1.25
    assert deviation(noisy_curve(rng), noisy_curve(rng, 0.3)) > 3.0


def slow_curve(rng, points=40, frames=2000, lasts=400.0):
    """Of a liquid whose structure lasts: each point walks back to its mean in ``lasts`` frames."""
    keep = np.exp(-1.0 / lasts)
    series = np.empty((frames, points))
    now = rng.normal(size=points)
    for frame in series:
        now = keep * now + np.sqrt(1.0 - keep**2) * rng.normal(size=points)
        frame[:] = now
    return parts(frames, lambda part: series[part].mean(axis=0))


def test_curve_error_is_larger_for_slow_correlation():
    """Without memory, errors of such runs are half of what they should be."""
    rng = np.random.default_rng(6)
    runs = [slow_curve(rng) for _ in range(20)]
    found = np.std([run.mean(axis=0) for run in runs], axis=0, ddof=1)
    alone = np.array([run.std(axis=0, ddof=1) / np.sqrt(len(run)) for run in runs])
    right = alone * np.sqrt([memory(run) for run in runs])[:, None]
    assert np.sqrt((alone**2).mean()) < 0.7 * np.sqrt((found**2).mean())
    assert 0.75 < np.sqrt((right**2).mean() / (found**2).mean()) < 1.1


def test_curve_parts_that_do_not_last_are_taken_as_they_are():
    rng = np.random.default_rng(7)
    assert np.mean([memory(rng.normal(size=(8, 40))) for _ in range(50)]) < 1.2
    assert memory(np.zeros((8, 3))) == 1.0


def test_observables_of_runs_are_weighed_by_their_lengths():
    lengths = np.array([1.0, 3.0])
    value, error = pooled(np.array([[1.0], [2.0]]), np.array([[2.0], [1.0]]), lengths)
    assert value == pytest.approx([1.75])
    assert error == pytest.approx([np.hypot(0.25 * 2.0, 0.75 * 1.0)])
    assert np.isnan(pooled(np.array([[1.0], [2.0]]), np.array([[np.nan], [1.0]]), lengths)[1])


def test_observables_error_grows_when_runs_differ():
    rng = np.random.default_rng(8)
    values, errors, lengths = rng.normal(size=(4, 60)), np.ones((4, 60)), np.ones(4)
    assert pooled(values, errors, lengths)[1] == pytest.approx(np.full(60, 0.5), rel=0.2)
    assert pooled(values, 0.5 * errors, lengths)[1] == pytest.approx(np.full(60, 0.5), rel=0.2)
    wide = pooled(values, 2.0 * errors, lengths)[1]  # the twin: errors stay when they cover it
    assert wide == pytest.approx(np.full(60, 1.0))
