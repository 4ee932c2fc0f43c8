"""The gap is one number: on cards, in the guard, in ``check`` and in ``distill``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import ase.io
import numpy as np
import pytest
import toy

from halfkick.driver.server.force_field import ForceField
from halfkick.driver.server.guards.gap import GapMonitor
from halfkick.models.base import Role
from halfkick.models.check.gap import gap as check_gap
from halfkick.models.check.probe import Probe
from halfkick.models.distill.sample import ServedForce
from halfkick.models.dynamics.mts import MTSDynamics
from halfkick.models.dynamics.ring_polymer import RingPolymer
from halfkick.models.frames import structure_of
from halfkick.models.gap import force_gap, gap_statistics
from halfkick.models.served import MeanForce, served_forces
from halfkick.models.train.measure import Predictions, gap_of

PUSH = np.array([0.3, -0.2, 0.1])


class Pushed(toy.Toy):
    """The toy model with a direct head that pushes the whole system."""

    def _evaluate(self, structure, role):
        result = super()._evaluate(structure, role)
        push = PUSH if role is Role.DIRECT else 0.0
        return replace(result, forces=result.forces + push)


@pytest.fixture(scope="module", params=[toy.Toy, Pushed], ids=["as it is", "pushed"])
def model(request):
    return request.param()


@pytest.fixture(scope="module")
def frames():
    return [toy.atoms(seed=seed) for seed in range(4)]


def forces_of(model, frames):
    """Raw forces of each role, one array (N, 3) for each frame."""
    results = model.evaluate([structure_of(f) for f in frames], frozenset(Role))
    return {role: [r[role].forces for r in results] for role in Role}


def on_a_card(model, frames):
    """What ``train`` writes."""
    forces = {
        role: np.stack([np.concatenate(values)] * 2, axis=-1)
        for role, values in forces_of(model, frames).items()
    }
    numbers = np.concatenate([f.numbers for f in frames])
    sizes = np.array([len(f) for f in frames])
    gaps = gap_of(Predictions(numbers, sizes, None, forces, {}))
    return {name: gap.for_card()["rmse"] for name, gap in gaps.items()}


def in_the_guard(model, frames, folder):
    """What the driver reports of a fast and a slow force field."""
    ase.io.write(folder / "init.xyz", frames[0])
    fields = {
        role: ForceField(
            {"model": "toy", "role": str(role), "template": str(folder / "init.xyz")},
            lambda _: model,
            needs_virial=False,
        )
        for role in Role
    }
    gaps = GapMonitor()
    forces = forces_of(model, frames)
    for index in (0, *range(len(frames))):  # a slot's first structure is not compared
        for role in (Role.DIRECT, Role.CONSERVATIVE):
            structure = structure_of(frames[index], str(role))
            gaps.update(fields[role], [structure], forces[role][index][None])
    (pair,) = gaps.pairs.values()
    assert pair.count == len(frames)
    return pair.now()["rmse_meV_per_A"]


def in_check(model, frames):
    found = check_gap([Probe(model, structure_of(frame)) for frame in frames]).species
    return {name: gap.rmse_meV_per_A for name, gap in found.items()}


def in_distill(model, frames):
    """What the dynamics of ``distill`` store with a frame."""
    gaps = []
    for frame in frames:
        system = frame.copy()
        system.info["walker"] = 0
        ring = RingPolymer(
            frame.get_masses(), frame.positions[None], np.zeros((1, len(frame), 3)), 300.0
        )
        fast, slow = (partial(ServedForce(model, role), system) for role in Role)
        gaps.append(MTSDynamics(ring, fast, slow, timestep_fs=0.5, stride=4).gap[0])
    found = gap_statistics([f.numbers for f in frames], gaps)
    return {name: gap.for_card()["rmse"] for name, gap in found.items()}


def test_gap_is_the_same_everywhere(model, frames, tmp_path):
    card = on_a_card(model, frames)
    assert set(card) == {"all", "H", "O"} and card["all"] > 10.0
    for other in (
        in_the_guard(model, frames, tmp_path), in_check(model, frames), in_distill(model, frames)
    ):  # fmt: skip
        assert other == pytest.approx(card, abs=0.01)


def test_gap_is_not_that_of_raw_forces(frames):
    """The twin: with the mean of the direct force the number is another one."""
    forces = forces_of(Pushed(), frames)
    raw = [c - d for c, d in zip(forces[Role.CONSERVATIVE], forces[Role.DIRECT], strict=True)]
    found = gap_statistics([f.numbers for f in frames], raw)["all"].rmse_meV_per_A
    assert found > 1.5 * on_a_card(Pushed(), frames)["all"]


def test_gap_of_a_conservative_fast_force_keeps_the_mean():
    fast, slow = np.zeros((2, 3)), np.ones((2, 3))
    np.testing.assert_array_equal(force_gap(fast + 1.0, slow, Role.CONSERVATIVE), 0.0)
    np.testing.assert_array_equal(force_gap(fast + 1.0, slow), 1.0)


def test_gap_by_species():
    numbers, gap = np.array([1, 8]), np.array([[3e-3, 0, 0], [0, 0, 4e-3]])
    found = gap_statistics([numbers], [gap])
    assert found["H"].rmse_meV_per_A == pytest.approx(3 / np.sqrt(3))
    assert found["all"].rmse_meV_per_A == pytest.approx(5 / np.sqrt(6))
    assert found["O"].p999_meV_per_A == pytest.approx(4, abs=0.02)
    assert found["H"].for_card() == {"rmse": 1.73, "p999": 2.99}


def test_served_forces_lose_their_mean_only_if_direct():
    forces = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(served_forces(forces, Role.CONSERVATIVE), forces)
    np.testing.assert_array_equal(served_forces(forces, Role.DIRECT, MeanForce.KEEP), forces)
    np.testing.assert_allclose(served_forces(forces, Role.DIRECT).mean(axis=0), 0.0)
