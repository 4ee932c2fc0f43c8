"""Uncertainties, ensembles and other outputs: numbers, i-PI's own driver, what is refused."""

from __future__ import annotations

import json
import warnings

import ase.io
import committee
import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from finite import BOTH, CONSERVATIVE, DIRECT, structure_of
from ipi.pes.metatomic import MetatomicDriver
from waters import water

from halfkick.driver.errors import GuardError, InputError
from halfkick.driver.server.force_field import ForceField
from halfkick.driver.server.guards.energy import EnergyTest
from halfkick.driver.server.guards.guard import Guard
from halfkick.driver.server.units import BOHR, HARTREE, atomic_units
from halfkick.models.backends.ase import AseModel
from halfkick.models.backends.metatomic import MetatomicModel
from halfkick.models.base import Role
from halfkick.models.errors import ModelError

MEMBERS = ("energy_ensemble", "force_ensemble", "virial_ensemble")
ON = {"energy_ensemble": "on", "force_virial_ensemble": "on"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return committee.export(tmp_path_factory.mktemp("model") / "committee.pt")


@pytest.fixture
def model(path):
    return MetatomicModel(path)


@pytest.fixture
def field(tmp_path, monkeypatch, model):
    """Make a force field of the committee, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    ase.io.write("init.xyz", water())

    def make(role="conservative", model=model, **more):
        own = {"model": "committee", "role": role, "template": "init.xyz"}
        return ForceField(own | {k: str(v) for k, v in more.items()}, lambda _: model, False)

    return make


def extras(field, *frames):
    """What i-PI reads for some structures."""
    structures = [structure_of(frame) for frame in frames]
    served = field.collect(field.model.evaluate(structures, frozenset({field.role})))
    return [json.loads(text) for text in field.encode(served).extras]


def test_ensemble_is_that_of_its_members(model):
    """Each member's forces are those of the model, so and so much stronger."""
    model.wanted_outputs = frozenset(MEMBERS)
    structures = [structure_of(water(seed=seed)) for seed in range(3)]
    for results in model.evaluate(structures, BOTH):
        result = results[Role.CONSERVATIVE]
        for name, whole in zip(MEMBERS, (result.energy, result.forces, result.virial), strict=True):
            for k, member in enumerate(result.outputs[name]):
                np.testing.assert_allclose(member, (1.0 + 0.1 * k) * whole, rtol=1e-12, atol=1e-13)
            assert len(result.outputs[name]) == committee.MEMBERS
        assert not results[Role.DIRECT].outputs


@pytest.mark.parametrize("engine", ["edges", "torchscript"])
def test_forces_are_the_same_to_the_last_bit_with_and_without_outputs(engine):
    structure = structure_of(water())
    model = MetatomicModel("models/water/water.pt", engine=engine)
    (before,) = model.evaluate([structure], BOTH)
    model.wanted_outputs = frozenset({"feature@system"})
    (after,) = model.evaluate([structure], BOTH)
    for role in Role:
        np.testing.assert_array_equal(before[role].forces, after[role].forces)
        np.testing.assert_array_equal(before[role].virial, after[role].virial)
    assert after[Role.CONSERVATIVE].outputs["feature@system"].size > 1


def test_other_outputs_come_in_the_units_of_ipi(field):
    """A dipole is that of the atoms where they are, be it outside of the cell."""
    box = water()
    box.positions[:9] += 5 * box.cell[0]
    (sent,) = extras(field(extras="mtt::dipole mtt::charge"), box)
    charges = 0.1 * (box.numbers - 4)
    np.testing.assert_allclose(sent["charge"], charges)
    np.testing.assert_allclose(sent["dipole"], 10.0 * charges @ box.positions / BOHR)  # from e nm
    (sent,) = extras(field(extras="mtt::charge@system"), box)
    assert sent == {"charge": pytest.approx(charges.sum())}


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("eV", 1 / HARTREE), ("e*Angstrom", 1 / BOHR), ("eV/Angstrom^3", BOHR**3 / HARTREE),
     ("Angstrom^-1", BOHR), ("", 1.0), ("e", 1.0), ("fs", 1.0)],
)  # fmt: skip
def test_units_become_those_of_ipi(unit, factor):
    assert atomic_units(unit) == pytest.approx(factor, rel=1e-14)


@pytest.mark.parametrize("variant", [None, "wide"])
@pytest.mark.parametrize(
    "asked", [{"energy_ensemble": True}, {"uncertainty_threshold": 1.0},
              {"energy_ensemble": True, "force_virial_ensemble": True}]
)  # fmt: skip
def test_extras_are_those_of_ipis_own_driver(asked, variant, path, field):
    frames = [water(seed=seed) for seed in range(2)]
    options = {} if variant is None else {"uncertainty_variant": variant}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # i-PI asks for outputs by their old names
        theirs = MetatomicDriver("init.xyz", str(path), **asked, **options)
        cells = [frame.cell.array.T / BOHR for frame in frames]
        answers = theirs(cells, [frame.positions / BOHR for frame in frames])
    for own, (*_, text) in zip(
        extras(field(model=MetatomicModel(path, **options), **asked), *frames), answers, strict=True
    ):
        expected = json.loads(text)
        assert own.keys() == expected.keys()
        for key, values in own.items():
            rtol = (
                2e-7 if key == "committee_force" else 1e-9
            )  # i-PI has another eV/Å than eV over Å
            np.testing.assert_allclose(np.ravel(values), expected[key], rtol=rtol, atol=1e-12)
            assert np.ptp(expected[key]) > 1e-6  # all alike would show nothing


def test_uncertainty_and_ensemble_do_not_disturb_each_other(field):
    alone = [extras(field(**asked), water()) for asked in (ON, {"uncertainty_threshold": 1})]
    (together,) = extras(field(**ON, uncertainty_threshold=1), water())
    assert together == {k: v for (sent,) in alone for k, v in sent.items()}


def test_an_ensemble_of_atoms_is_refused(field, tmp_path):
    broken = MetatomicModel(committee.export(tmp_path / "broken.pt", broken=True))
    with pytest.raises(ModelError, match=r"expected 1 rows of the output 'energy_ensemble'.*24"):
        extras(field(model=broken, energy_ensemble="on"), water())


@pytest.mark.parametrize(
    ("role", "asked", "message"),
    [
        ("direct", ON, "expected energy_ensemble, force_virial_ensemble in .* got role direct"),
        ("direct", {"extras": "mtt::dipole"}, "expected extras in .*conservative.*got role direct"),
        ("direct", {"uncertainty_threshold": 1}, "expected uncertainty_threshold in .*conserv"),
        ("conservative", {"extras": "dipole"}, r"\(.*mtt::charge, mtt::dipole, .*got dipole;"),
        ("conservative", {"force_virial_ensemble": "on"}, "expected energy_ensemble: on beside"),
        ("conservative", {"energy_ensemble": "many"}, "'on' or 'off' in <parameters>, got 'many'"),
        ("conservative", {"extras": "mtt::charge mtt::charge@system"}, "differ.*charge, charge"),
        ("conservative", {"uncertainty_threshold": -1}, "expected a positive number"),
        ("conservative", {"ensemble": "on"}, "expected <parameters> .*, got 'ensemble'"),
    ],
)
def test_what_cannot_be_sent_is_refused(role, asked, message, field):
    with pytest.raises(InputError, match=message) as error:
        field(role, **asked)
    assert "\n" not in str(error.value)


def test_an_output_that_the_model_lacks_is_refused(field, tmp_path):
    poor = committee.export(tmp_path / "poor.pt", without=["energy_ensemble", "energy_uncertainty"])
    for asked in (ON, {"uncertainty_threshold": 1}):
        with pytest.raises(InputError, match=r"an output that model 'poor' has .*, got energy_"):
            field(model=MetatomicModel(poor), **asked)
    with pytest.raises(
        ModelError, match=r"energy_uncertainty/x or .*got .*correct uncertainty_var"
    ):
        MetatomicModel(poor, uncertainty_variant="x")
    with pytest.raises(ModelError, match=r"expected .* non_conservative_force/x, got non_conserv"):
        MetatomicModel(poor, non_conservative_variant="x")


def test_guard_stops_at_uncertain_structures_and_keeps_them(field, caplog):
    guard, certain = Guard(1), water(1)
    ase.io.write("init.xyz", certain)
    far = [certain.copy() for _ in range(3)]
    for i, frame in enumerate(far):
        frame.positions[1] = frame.positions[0] + [0.3 + 0.01 * i, 0.0, 0.0]
    with pytest.raises(GuardError, match=r"expected uncertainty_threshold 0.007 eV/atom.*3 times"):
        strict = field(uncertainty_threshold=0.007)
        for frame in (certain, far[0], certain, *far):
            check(guard, strict, frame)
    assert len(caplog.records) == 3
    kept = ase.io.read("uncertain.xyz", index=":")
    assert len(kept) == 4  # all that were beyond it, and none of the others
    np.testing.assert_allclose(kept[-1].positions, far[-1].positions, atol=1e-7)
    assert kept[-1].arrays["energy_uncertainty"].max() > 0.007
    check(guard, field(uncertainty_threshold=1), *far)


def test_guard_stops_at_an_ensemble_that_is_no_number(field):
    noisy = field(energy_ensemble="on")
    results = noisy.model.evaluate([structure_of(water())], CONSERVATIVE)
    results[0][Role.CONSERVATIVE].outputs["energy_ensemble"][1] = np.nan
    with pytest.raises(GuardError, match="got NaN or infinity in conservative energy_ensemble"):
        Guard(1).check(noisy, [structure_of(water())], noisy.collect(results))


def check(guard, field, *frames):
    for frame in frames:
        structures = [structure_of(frame)]
        results = field.model.evaluate(structures, frozenset({field.role}))
        guard.check(field, structures, field.collect(results))


def test_a_result_without_what_is_asked_is_made_again(field):
    """As one kept from before another force field asked for more."""
    plain = field()
    (results,) = plain.model.evaluate([structure_of(water())], BOTH)
    demanding = field(energy_ensemble="on")
    assert not plain.lacks(results)
    assert demanding.lacks(results) == {Role.CONSERVATIVE}
    assert not demanding.lacks(demanding.model.evaluate([structure_of(water())], BOTH)[0])


def test_the_energy_test_asks_for_forces_alone(field):
    own = field(**ON)
    asked = []
    evaluate = own.model._further.evaluate
    own.model._further.evaluate = lambda *given: asked.append(given) or evaluate(*given)
    EnergyTest().check(own, [structure_of(water())])
    own.model.evaluate([structure_of(water())], DIRECT)
    assert not asked
    extras(own, water())
    assert len(asked) == 1


def test_properties_of_a_calculator_are_outputs(field):
    box = water()
    own = field(model=AseModel("lj", LennardJones, {"rc": 3.0}), extras="energies")
    (sent,) = extras(own, box)
    box.calc = LennardJones(rc=3.0)
    assert np.sum(sent["energies"]) * HARTREE == pytest.approx(box.get_potential_energy())
    with pytest.raises(InputError, match=r"model 'lj' has \(energies, stresses\), got dipole"):
        field(model=AseModel("lj", LennardJones), extras="dipole")
