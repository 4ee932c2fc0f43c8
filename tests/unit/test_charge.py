"""Charge and spin reach the calculators: energies and forces are those of ASE's own calls."""

from __future__ import annotations

import ase.io
import finite
import numpy as np
import pytest
from ase import Atoms
from curled import Curled

from halfkick.models.backends.ase import AseModel
from halfkick.models.backends.conventions import role_of
from halfkick.models.base import Role
from halfkick.models.charge import check_inputs, read_inputs
from halfkick.models.errors import DataError, ModelError
from halfkick.models.frames import read_frames, structure_of
from halfkick.models.load import load_model
from halfkick.models.pair import Pair

ION = Atoms("OH3", [[0, 0, 0.1], [0.95, 0, -0.2], [-0.5, 0.85, -0.2], [-0.5, -0.8, -0.25]])
ION.center(5.0)


def ion(**info):
    atoms = ION.copy()
    atoms.info.update(info)
    return atoms


def tblite(atoms, **options):
    from tblite.ase import TBLite

    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0, **options)
    return atoms.get_potential_energy(), atoms.get_forces()


def so3lr(atoms):
    from so3krates_torch.calculator.so3 import SO3LRCalculator

    atoms.calc = SO3LRCalculator(default_dtype="float64", r_max_lr=12.0)
    return atoms.get_potential_energy(), atoms.get_forces()


@pytest.mark.extra("tblite")
@pytest.mark.parametrize(
    ("info", "options"),
    [
        ({"charge": 1}, {"charge": 1}),
        ({"charge": 1, "multiplicity": 3}, {"charge": 1, "multiplicity": 3}),
        ({"charge": 0, "spin": 2}, {"charge": 0, "multiplicity": 2}),
    ],
)
def test_tblite_is_told_of_charge_and_spin(info, options):
    model = load_model("tblite:GFN2-xTB")
    assert model.capabilities.inputs == {"charge", "spin"}
    result = finite.evaluate(model, structure_of(ion(**info)), Role.CONSERVATIVE)
    energy, forces = tblite(ion(), **options)
    assert result.energy == pytest.approx(energy, abs=1e-6)
    np.testing.assert_allclose(result.forces, forces, atol=1e-5)
    neutral = finite.evaluate(model, structure_of(ion()), Role.CONSERVATIVE)
    assert abs(neutral.energy - energy) > 1.0 or info["charge"] == 0


@pytest.mark.extra("so3krates_torch")
@pytest.mark.filterwarnings("ignore")  # of old interfaces, in these packages
def test_so3lr_is_told_of_charge_and_spin():
    model = load_model("so3lr?compute_stress=False")
    assert model.capabilities.inputs == {"charge", "spin"}
    found = [
        finite.evaluate(model, structure_of(ion(**info)), Role.CONSERVATIVE)
        for info in ({}, {"charge": 1}, {"charge": 1, "spin_multiplicity": 3})
    ]
    for result, info in zip(
        found[1:], ({"charge": 1}, {"charge": 1, "total_spin": 1.0}), strict=True
    ):
        energy, forces = so3lr(ion(**info))
        assert result.energy == pytest.approx(energy, abs=1e-9)
        np.testing.assert_allclose(result.forces, forces, atol=1e-9)
    assert abs(found[0].energy - found[1].energy) > 1.0
    assert abs(found[1].energy - found[2].energy) > 0.1


@pytest.mark.extra("tblite")
def test_a_charge_among_the_options_counts_for_all_structures():
    model = load_model("tblite:GFN2-xTB?charge=1")
    assert model.capabilities.inputs == {"spin"} and model.capabilities.charges == {1}
    check_inputs("here", read_inputs("OHHH", {"charge": 1}, {}), "it", model.capabilities)
    with pytest.raises(DataError, match="got charge=-1"):
        check_inputs("here", read_inputs("OHHH", {"charge": -1}, {}), "it", model.capabilities)


def test_calculators_get_what_the_file_says(tmp_path):
    seen = []

    class Watching(Curled):
        def calculate(self, atoms=None, *args):
            seen.append(atoms.copy())
            super().calculate(atoms, *args)

    atoms = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.4]], info={"charge": -1, "label": "surface"})
    atoms.set_tags([0, 1])
    atoms.set_initial_charges([-0.6, -0.4])
    ase.io.write(tmp_path / "a.xyz", atoms)
    (read,) = read_frames(tmp_path / "a.xyz")
    model = AseModel("watching", Watching, uses=["charge", "spin"])
    finite.evaluate(model, structure_of(read), Role.CONSERVATIVE)
    (given,) = seen
    assert given.info == atoms.info and given.get_tags().tolist() == [0, 1]
    np.testing.assert_array_equal(given.get_initial_charges(), [-0.6, -0.4])
    named = load_model("ase:ase.calculators.emt:EMT?uses=charge")
    assert named.capabilities.inputs == {"charge"}
    with pytest.raises(ModelError, match="expected uses=charge,spin"):
        load_model("ase:ase.calculators.emt:EMT?uses=colour")


@pytest.mark.parametrize(
    ("info", "spin"),
    [
        ({"spin": 1}, 1),  # ten electrons with charge 1: an even number
        ({"spin": 2}, 3),
        ({"spin": 3}, 3),
        ({"uhf": 2}, 3),
        ({"total_spin": 0.5}, 2),
        ({"multiplicity": 3}, 3),
        ({}, None),
    ],
)
def test_spin_is_read_in_all_spellings(info, spin):
    assert read_inputs("OHHH", info | {"charge": 1}, {}).spin == spin


def test_pair_tells_each_model_its_own():
    told = {}

    class Telling(Curled):
        def __init__(self, role):
            super().__init__(0.0)
            self.role = role

        def calculate(self, atoms=None, *args):
            told[self.role] = atoms.info.get("charge")
            super().calculate(atoms, *args)

    models = {
        role: AseModel(str(role), Telling, {"role": role}, role=role, uses=["charge"])
        for role in Role
    }
    inputs = {role: read_inputs("Cu", {"charge": n}, {}) for n, role in enumerate(sorted(Role))}
    copper = structure_of(Atoms("Cu2", [[0, 0, 0], [0, 0, 2.4]]))
    Pair(models, inputs).evaluate([copper], frozenset(Role))
    assert told == {Role.CONSERVATIVE: 0, Role.DIRECT: 1}


class DirectForcefieldRegressor:
    """Called as Orb's."""


class Config:
    def __init__(self, **values):
        self.__dict__.update(values)


def direct_backbone(says):
    backbone = Config(regress_config=Config(direct_forces=says))
    return Config(predictor=Config(model=Config(module=Config(backbone=backbone))))


@pytest.mark.parametrize(
    ("calculator", "role"),
    [
        (Config(model=DirectForcefieldRegressor()), Role.DIRECT),
        (Config(model=Config()), None),
        (direct_backbone(True), Role.DIRECT),
        (direct_backbone(False), Role.CONSERVATIVE),
        (Config(_nc_forces=True), Role.DIRECT),
    ],
)
def test_calculators_say_which_role_they_have(calculator, role):
    assert role_of(calculator) is role


def test_a_role_in_the_name_makes_forces_direct():
    copper = structure_of(Atoms("Cu2", [[0, 0, 0], [0, 0, 2.4]]))
    plain = load_model("ase:ase.calculators.emt:EMT")
    direct = load_model("ase:ase.calculators.emt:EMT?role=direct")
    assert direct.capabilities.roles == finite.DIRECT
    result = finite.evaluate(direct, copper, Role.DIRECT)
    expected = finite.evaluate(plain, copper, Role.CONSERVATIVE)
    np.testing.assert_array_equal(result.forces, expected.forces)
    assert result.energy == 0.0 != expected.energy
    direct.needs_virial = False
    with pytest.raises(ModelError, match="offers only direct"):
        direct.evaluate([copper], finite.CONSERVATIVE)
    with pytest.raises(ModelError, match="expected role=direct or role=conservative"):
        load_model("ase:ase.calculators.emt:EMT?role=fast")


def test_isotopes_have_their_masses(tmp_path):
    path = tmp_path / "water.xyz"
    path.write_text("3\n\nO 0 0 0\nD 0.96 0 0\n T -0.24 0.93 0\n")
    (atoms,) = read_frames(path)
    assert atoms.numbers.tolist() == [8, 1, 1]
    assert atoms.get_masses() == pytest.approx([15.999, 2.01410178, 3.01604928], abs=1e-8)
    from halfkick.models.distill.options import DistillOptions
    from halfkick.models.distill.sample import make_walkers
    from halfkick.models.distill.store import state_of
    from halfkick.models.train.labels.frames import label
    from halfkick.models.train.labels.keys import LabelKeys

    atoms.info["charge"] = np.int64(1)  # as ASE reads it
    walkers = make_walkers([atoms], DistillOptions())
    assert state_of(walkers[0].start) == (1.0, 1)
    assert walkers[0].start.get_masses() == pytest.approx(atoms.get_masses())
    keys = LabelKeys(**dict.fromkeys(("energy", "forces", "stress")))
    assert label(atoms, keys, 0).get_masses() == pytest.approx(atoms.get_masses())
