"""What ``halfkick check`` foresees of drifts, against many runs with impulses of the gap."""

from __future__ import annotations

import numpy as np
import pytest
from ase.units import kB
from scipy.sparse import csr_array

from halfkick.models.base import Capabilities, ForceModel, ForceResult, Role, Structure
from halfkick.models.check.heating import heating, temperature_of
from halfkick.models.check.probe import Probe
from halfkick.models.check.trajectory import Trajectory, follow
from halfkick.models.dynamics.units import ACCELERATION
from halfkick.models.errors import ModelError

STEP_FS = 4.0
KELVIN = 600.0
STRIDES = (1, 16, 24)
COPIES, OUTER_STEPS = 40, 60


class Rippled(ForceModel):
    """Argon in a box, soft spheres; the direct force lacks a field that ripples in space.

    The field pulls each atom along x, y and z by ``size`` sin(2π x / 0.5 Å): an atom crosses a
    ripple in some ten steps. With ``slow`` it is 10 Å long instead.
    """

    name = "rippled"

    def __init__(self, size=0.01, *, slow=False):
        self.capabilities = Capabilities(frozenset(Role))
        self.size, self.wave = size, 2 * np.pi / (10.0 if slow else 0.5)

    def evaluate(self, structures, roles):
        x = np.array([s.positions for s in structures])
        both = self.forces(x, structures[0].cell[0, 0])
        none = np.zeros((3, 3))
        return [{r: ForceResult(0.0, both[r][k], none) for r in roles} for k in range(len(x))]

    def forces(self, x, box):
        """Both forces of R copies, (R, N, 3)."""
        d = x[:, :, None] - x[:, None]
        d -= box * np.round(d / box)
        part = np.clip(1.0 - (d**2).sum(-1) / 3.4**2, 0.0, None)
        spheres = (0.6 * part[..., None] ** 3 * d).sum(2)
        field = self.size * np.sin(self.wave * x)
        field -= field.mean(axis=1, keepdims=True)
        return {Role.DIRECT: spheres, Role.CONSERVATIVE: spheres + field}


def start(copies=1, seed=0):
    """Positions (copies, 27, 3) near a lattice, and the box."""
    lattice = 3.2 * np.stack(np.meshgrid(*[np.arange(3.0)] * 3), -1).reshape(-1, 3)
    return lattice + np.random.default_rng(seed).normal(size=(copies, 27, 3)) * 0.2, 9.6


@pytest.fixture(scope="module")
def rippled():
    return foreseen(Rippled())


def foreseen(model):
    """Drifts that a trajectory tells, and its temperature."""
    positions, box = start()
    structure = Structure(np.full(27, 18), positions[0], np.eye(3) * box, np.ones(3, bool))
    along = follow(Probe(model, structure), STEP_FS, 3000, KELVIN)
    return heating([along], STRIDES), along.temperature_K


def measured(model, stride):
    """Drift of many runs at constant energy, meV/atom/ps."""
    rng = np.random.default_rng(stride)
    (x, box), mass = start(COPIES, seed=1), 39.95
    v = rng.normal(size=x.shape) * np.sqrt(kB * KELVIN * ACCELERATION / mass)
    v -= v.mean(axis=1, keepdims=True)
    push = 0.5 * STEP_FS * ACCELERATION / mass
    energies = []
    forces = model.forces(x, box)
    for _ in range(OUTER_STEPS + 25):
        v = v + stride * push * (forces[Role.CONSERVATIVE] - forces[Role.DIRECT])
        for _ in range(stride):
            v = v + push * forces[Role.DIRECT]
            x = x + STEP_FS * v
            forces = model.forces(x, box)
            v = v + push * forces[Role.DIRECT]
        v = v + stride * push * (forces[Role.CONSERVATIVE] - forces[Role.DIRECT])
        energies.append(energy(model, x, v, mass, box))
    return 1e6 * (energies[-1] - energies[24]) / (27 * OUTER_STEPS * stride * STEP_FS)


def energy(model, x, v, mass, box):
    d = x[:, :, None] - x[:, None]
    d -= box * np.round(d / box)
    part = np.clip(1.0 - (d**2).sum(-1) / 3.4**2, 0.0, None)
    spheres = 0.5 * (0.6 * 3.4**2 / 8 * part**4).sum((1, 2))
    field = (model.size / model.wave * np.cos(model.wave * x)).sum((1, 2))
    return spheres + field + 0.5 * mass * (v**2).sum((1, 2)) / ACCELERATION


@pytest.mark.parametrize("stride", [16, 24])
def test_heating_predicts_the_measured_drift(rippled, stride):
    drifts, kelvin = rippled
    rates = measured(Rippled(), stride)
    error = rates.std(ddof=1) / COPIES**0.5
    assert rates.mean() > 4 * error
    assert drifts[stride].value == pytest.approx(
        rates.mean(), rel=0.2, abs=3 * np.hypot(error, drifts[stride].error)
    )
    time_ps = 1e-3 * OUTER_STEPS * stride * STEP_FS
    assert 0.5 < drifts[stride].scatter(27, kelvin, time_ps) / rates.std(ddof=1) < 2.0


def test_heating_by_a_slow_gap_is_none(rippled):
    """The twin: a gap as large, ten times as long."""
    drifts, _ = foreseen(Rippled(slow=True))
    rates = measured(Rippled(slow=True), 24)
    assert abs(rates.mean()) < 0.02 * rippled[0][24].value
    assert drifts[24].value < 0.02 * rippled[0][24].value


def test_heating_without_impulses_is_none(rippled):
    assert rippled[0][1].value < 1e-12


def test_heating_of_long_strides_is_not_told_by_a_short_trajectory():
    positions, box = start()
    structure = Structure(np.full(27, 18), positions[0], np.eye(3) * box, np.ones(3, bool))
    along = follow(Probe(Rippled(), structure), STEP_FS, 400, KELVIN)
    assert list(heating([along], (8, 64))) == [8]


def test_heating_of_exploding_dynamics_is_one_line():
    positions, box = start()
    structure = Structure(np.full(27, 18), positions[0], np.eye(3) * box, np.ones(3, bool))
    along = follow(Probe(Rippled(), structure), STEP_FS, 400, KELVIN)
    along.power[-1] = np.nan
    with pytest.raises(ModelError, match="dynamics stay finite"):
        heating([along], (8,))


@pytest.mark.parametrize(("sign", "times"), [(1.0, 2.0), (-1.0, 0.0)])
def test_heating_counts_work_on_near_atoms_together(sign, times):
    """What two neighbours get at once counts twice, what one takes from the other not at all."""
    power = 1e-4 * np.random.default_rng(0).normal(size=(600, 20))
    power = np.stack([power, sign * power], axis=2).reshape(600, 40)
    pairs = csr_array(np.kron(np.eye(20), np.ones((2, 2))))
    (alone,), (together,) = (
        heating([Trajectory(0.5, power, near, 300.0)], (8,)).values()
        for near in (csr_array(np.eye(40)), pairs)
    )
    assert alone.value > 0.0
    assert together.value == pytest.approx(times * alone.value, abs=1e-9)


def test_heating_of_several_starts_is_their_mean_with_its_error():
    """Small molecules differ from start to start: what one of them tells is no mean."""
    near, rng = csr_array(np.eye(3)), np.random.default_rng(1)
    power = [1e-4 * size * rng.normal(size=(600, 3)) for size in (0.5, 1.0, 1.5)]
    single = [heating([Trajectory(0.5, p, near, 300.0)], (8,))[8] for p in power]
    along = [Trajectory(0.5, p, near, t) for p, t in zip(power, (100.0, 300.0, 500.0), strict=True)]
    together = heating(along, (8,))[8]
    assert temperature_of(along) == pytest.approx(300.0)
    assert together.value == pytest.approx(np.mean([one.value for one in single]))
    assert together.error > 2.0 * max(one.error for one in single)  # they differ by more


def test_heating_of_starts_with_different_atoms_weighs_atoms_alike():
    rng = np.random.default_rng(2)
    along = [
        Trajectory(0.5, 1e-4 * rng.normal(size=(600, n)), csr_array(np.eye(n)), 300.0)
        for n in (3, 30)
    ]
    few, many = (heating([one], (8,))[8].value for one in along)
    assert heating(along, (8,))[8].value == pytest.approx((3 * few + 30 * many) / 33)
