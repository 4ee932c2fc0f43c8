"""What ``halfkick check`` foresees of strides, against the integrator step by step."""

from __future__ import annotations

import numpy as np
import pytest

from halfkick.models.base import ForceResult
from halfkick.models.check import modes
from halfkick.models.check.advice import advise
from halfkick.models.check.cost import Cost, speed_up
from halfkick.models.check.rings import ring_strides
from halfkick.models.check.stability import growth, period_fs
from halfkick.models.dynamics.mts import MTSDynamics
from halfkick.models.dynamics.ring_polymer import RingPolymer, ring_period_fs
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


def ring_amplitude(stride, gap, beads, kept, timestep=0.5, span_fs=600.0):
    """Largest amplitude of one bond's ring polymer, bead by bead, over that at the start.

    The gap acts on modes of a wave number up to ``kept``, as contraction has it.
    """
    k, mass = 46.2, 1.0
    wave = np.fft.fft(np.eye(beads))
    low = (np.minimum(np.arange(beads), beads - np.arange(beads)) <= kept)[:, None]
    project = np.fft.ifft(low * wave, axis=0).real

    def fast(positions):
        return [ForceResult(0.0, -(1.0 - gap) * k * q, np.zeros((3, 3))) for q in positions]

    def slow(positions):
        smooth = np.tensordot(project, positions, axes=1)
        return [
            ForceResult(0.0, -(1.0 - gap) * k * q - gap * k * s, np.zeros((3, 3)))
            for q, s in zip(positions, smooth, strict=True)
        ]

    rng = np.random.default_rng(0)
    start = rng.normal(scale=0.1, size=(beads, 1, 3))
    ring = RingPolymer(np.array([mass]), start, np.zeros_like(start), 300.0)
    run = MTSDynamics(ring, fast, slow, timestep_fs=timestep, stride=stride)
    largest = 0.0
    for _ in range(round(span_fs / (stride * timestep))):
        run.step(rng)
        largest = max(largest, float(np.abs(ring.positions).max()))
    return largest / float(np.abs(start).max())


@pytest.mark.parametrize(("beads", "contraction"), [(1, None), (8, None), (8, 2), (16, 2)])
def test_strides_of_ring_polymers_hold_as_foreseen(beads, contraction):
    """Every stride up to the longest stays bounded, bead by bead; a longer one grows."""
    k, gap = 46.2, 0.1
    block = (np.array([[gap * k]]), np.array([[(1 - gap) * k]]))
    corrected = contraction or beads
    (*_, row) = ring_strides([block], period_fs(k), 0.5, [beads], contraction, 300.0)
    assert (row.beads, row.corrected) == (beads, corrected)
    kept = corrected // 2
    found = [ring_amplitude(m, gap, beads, kept) for m in range(1, row.stride + 4)]
    assert max(found[: row.stride]) < 4.0
    assert max(found[row.stride :]) > 20.0


def test_beads_shorten_the_stride_and_contraction_gives_it_back():
    k, gap = 46.2, 0.1
    block = (np.array([[gap * k]]), np.array([[(1 - gap) * k]]))
    rows = ring_strides([block], period_fs(k), 0.5, [1, 8, 32], 2, 300.0)
    found = {(row.beads, row.corrected): row for row in rows}
    assert [*found] == [(1, 1), (8, 8), (8, 2), (32, 32), (32, 2)]
    strides = {key: row.stride for key, row in found.items()}
    assert strides[32, 32] < strides[8, 8] < strides[8, 2] < strides[1, 1] + 1
    assert strides[8, 8] * 0.5 < 0.5 * found[8, 8].period_fs
    rings = ring_period_fs(period_fs(k), 8, 300.0)
    assert found[8, 8].period_fs == pytest.approx(rings, rel=1e-6)
