"""Forces against their energy: those with a curl are found, those without pass."""

from __future__ import annotations

from dataclasses import replace

import finite
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from curled import Curled, Rounded
from toy import Toy, atoms

from halfkick.models.backends.ase import AseModel
from halfkick.models.balance import TOLERANCE, balance
from halfkick.models.base import ForceResult, Role
from halfkick.models.check.probe import Probe

SEEDS = range(3)


def copper(rattle=0.05, size=2):
    atoms = bulk("Cu") * (size, size, size)
    atoms.rattle(rattle, seed=1)
    return finite.structure_of(atoms)


def holds(factory, structure, **options):
    model = AseModel("test", factory, options)
    return [balance(model, structure, seed=seed).holds for seed in SEEDS]


@pytest.mark.parametrize("rattle", [0.0, 0.05, 0.2])
def test_balance_finds_a_small_curl_and_none_without(rattle):
    structure = copper(rattle)
    assert all(holds(EMT, structure))
    assert not any(holds(Curled, structure, curl=0.02))
    assert not any(holds(Curled, structure, curl=0.1))


@pytest.mark.parametrize("factory", [EMT, Curled])
def test_balance_asks_for_one_structure_at_a_time(factory):
    """Threads that a batch starts would slow a run of one bead to its end."""
    model, sizes = AseModel("test", factory), []
    evaluate = model.evaluate
    model.evaluate = lambda structures, roles: (
        sizes.append(len(structures)) or evaluate(structures, roles)
    )
    balance(model, copper())
    assert len(sizes) >= 5 and set(sizes) == {1}


@pytest.mark.parametrize("shift", [10.0, -1e3])
def test_balance_allows_for_single_precision(shift):
    assert all(holds(Rounded, copper(), shift=shift))
    assert not any(holds(Rounded, copper(), shift=shift, curl=0.05))


def test_balance_allows_for_noise():
    """As of TF32: the energy scatters by more than a curl would do work."""

    class Noisy(Curled):
        def calculate(self, *args):
            super().calculate(*args)
            self.rng = getattr(self, "rng", np.random.default_rng(0))
            self.results["free_energy"] += 0.001 * self.rng.normal()

    structure = copper(size=3)
    assert all(holds(Noisy, structure, curl=0.0))
    assert not any(holds(Noisy, structure, curl=0.5))


def test_balance_allows_for_a_cutoff_where_the_energy_jumps():
    """Not shifted to zero there, as atoms cross it."""

    class Truncated(LennardJones):
        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            pairs = bound(self.atoms, self.parameters.rc)
            ratio = (self.parameters.sigma / self.parameters.rc) ** 6
            jump = 4.0 * self.parameters.epsilon * (ratio**2 - ratio)
            for name in ("energy", "free_energy"):
                self.results[name] += pairs * jump

    def bound(atoms, cutoff):
        from ase.neighborlist import neighbor_list

        return len(neighbor_list("i", atoms, cutoff)) / 2

    argon = bulk("Ar", a=5.3, cubic=True)
    argon.rattle(0.15, seed=0)
    options = {"sigma": 3.4, "epsilon": 0.0104, "rc": 8.5}
    assert all(holds(Truncated, finite.structure_of(argon), **options))


def test_balance_of_the_toys_two_forces():
    """Its direct forces with the energy of the conservative ones are what must not be served."""

    class Mistaken(Toy):
        def evaluate(self, structures, roles):
            return [
                {Role.CONSERVATIVE: ForceResult(r[Role.CONSERVATIVE].energy,
                                                r[Role.DIRECT].forces, r[Role.DIRECT].virial)}
                for r in super().evaluate(structures, frozenset(Role))
            ]  # fmt: skip

    structure = finite.structure_of(atoms(), "a slot")
    wrong, right = balance(Mistaken(), structure), balance(Toy(), structure)
    assert not wrong.holds and wrong.is_second_look
    assert right.holds and not right.is_second_look
    assert right.excess < TOLERANCE * right.size < wrong.excess


def test_balance_equals_the_rms_of_what_is_no_gradient():
    """By the mean of squares over many directions, against the added forces themselves."""
    structure = copper(rattle=0.1)
    plain = finite.evaluate(AseModel("emt", EMT), structure, Role.CONSERVATIVE).forces
    turned = 0.05 * plain[:, [1, 0]]
    expected = np.sqrt((turned**2).sum() / plain.size)
    model = AseModel("curled", Curled, {"curl": 0.05})
    found = [balance(model, structure, seed=seed).excess for seed in range(12)]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(expected, rel=0.4)


def test_balance_leaves_random_numbers_and_slots_alone():
    seen = []

    class Watched(Toy):
        def evaluate(self, structures, roles):
            seen.extend((s.slot, s.inputs) for s in structures)
            return super().evaluate(structures, roles)

    structure = replace(finite.structure_of(atoms(), "slot"))
    state = np.random.get_state()[1].copy()
    balance(Watched(), structure)
    assert np.array_equal(np.random.get_state()[1], state)
    assert len(seen) == 5 and {slot for slot, _ in seen} == {None}
    assert {inputs for _, inputs in seen} == {structure.inputs}


def test_probe_uses_the_same_balance():
    from halfkick.models.check.report import check

    report = check(AseModel("curled", Curled), [copper()], probes=3, seconds=0.1, dynamics=0)
    assert report.balance is not None and not report.balance.holds
    assert Probe(AseModel("emt", EMT), copper()).roles == finite.CONSERVATIVE
