"""What ``halfkick check`` foresees of strides, against the integrator step by step."""

from __future__ import annotations

import numpy as np
import pytest

from halfkick.models.check import modes
from halfkick.models.check.advice import advise
from halfkick.models.check.cost import Cost, speed_up
from halfkick.models.check.stability import growth, period_fs
from halfkick.models.dynamics.units import ACCELERATION


def oscillate(slow, fast, timestep_fs, stride, outer_steps):
    """Largest amplitude of one oscillator under impulse multiple time stepping, step by step."""
    x, v, largest = 1.0, 0.0, 1.0
    slow, fast = slow * ACCELERATION, fast * ACCELERATION
    for _ in range(outer_steps):
        v -= 0.5 * stride * timestep_fs * slow * x
        for _ in range(stride):
            v -= 0.5 * timestep_fs * fast * x
            x += timestep_fs * v
            v -= 0.5 * timestep_fs * fast * x
        v -= 0.5 * stride * timestep_fs * slow * x
        largest = max(largest, abs(x))
    return largest


@pytest.mark.parametrize("stride", [1, 4, 8, 17, 18, 19, 25, 36])
@pytest.mark.parametrize("part", [0.0, 0.02, 0.1])
def test_stability_growth_is_that_of_the_integrator(stride, part):
    """Where it foresees growth, the amplitude grows so; where none, it stays bounded."""
    k = 46.2  # an O-H bond: 9.4 fs
    slow, fast = np.array([[part * k]]), np.array([[(1 - part) * k]])
    timestep = period_fs(k) / 36.0
    rate = growth(slow, fast, timestep, stride)
    span_ps = 1e-3 * 300 * stride * timestep
    largest = oscillate(slow[0, 0], fast[0, 0], timestep, stride, 300)
    if rate * span_ps > 1.0:
        assert np.log(largest) == pytest.approx(rate * span_ps, abs=3.0, rel=0.05)
    else:
        assert largest < 20.0
    if part == 0.0:
        assert rate < 1e-3  # no gap, no impulse: any stride is plain Verlet
    if part == 0.1 and stride == 18:
        assert rate * period_fs(k) * 1e-3 > 0.1  # half a period between impulses


def a_vibration(period, gap_stiffness=0.0):
    return modes.Vibration(1.0, period, gap_stiffness)


def test_stride_advice_stays_below_half_the_fastest_period():
    k = 46.2
    costs = {kind: Cost(ms, ms, ms, 1) for kind, ms in (("conservative", 3.0), ("direct", 1.0))}
    costs["both"] = costs["conservative"]
    block = (np.array([[0.05 * k]]), np.array([[0.95 * k]]))
    advice, rows = advise([a_vibration(period_fs(k))], [block], costs)
    assert advice.inner_fs == 0.5
    outer = advice.inner_fs * advice.stride
    assert 0.25 * period_fs(k) < outer < 0.5 * period_fs(k)
    assert not rows[8].stable and rows[8].growth_per_ps > 1.0  # 4.5 fs
    dear = costs | {"direct": costs["both"]}
    useless, _ = advise([a_vibration(period_fs(k))], [block], dear)
    assert useless.stride == 1 and "do without" in useless.reason
    far, _ = advise([a_vibration(period_fs(k), -0.22)], [block], costs)
    assert "22 %" in far.reason and "shorter strides" not in advice.reason
    same = (0.0 * block[0], np.array([[k]]))
    bold, rows = advise([a_vibration(period_fs(k))], [same], costs)
    assert bold.stride > advice.stride and all(row.stable for row in rows)


def test_stride_speed_up_follows_from_the_costs():
    costs = {"conservative": Cost(3.0, 3, 3, 1), "direct": Cost(1.0, 1, 1, 1)}
    costs["both"] = Cost(3.2, 3, 3, 1)
    assert speed_up(costs, 1) == pytest.approx(3.0 / 3.2)
    assert speed_up(costs, 8) == pytest.approx(24.0 / (7.0 + 3.2))
