"""Potentials with a short name: they load, say what is missing, and are what they are called."""

import sys

import finite
import numpy as np
import pytest
from ase.build import molecule

from halfkick.models.base import Role, Structure
from halfkick.models.errors import ModelError
from halfkick.models.load import load_model
from halfkick.models.testing import check_force_model

own_warnings = pytest.mark.filterwarnings("ignore")  # of old interfaces, in these packages


def water(periodic=False):
    atoms = molecule("H2O")
    atoms.rattle(0.05, seed=1)
    cell = np.diag([9.0, 9.5, 10.0]) if periodic else np.zeros((3, 3))
    return Structure(atoms.numbers, atoms.positions + 4, cell, np.array([periodic] * 3))


@pytest.mark.extra("tblite")
def test_tblite_gives_what_its_calculator_gives():
    short = load_model("tblite:GFN2-xTB")
    long = load_model("ase:tblite.ase:TBLite?method=GFN2-xTB&verbosity=0")
    other = load_model("tblite:GFN1-xTB")
    results = [finite.evaluate(m, water(), Role.CONSERVATIVE) for m in (short, long, other)]
    np.testing.assert_allclose(results[0].forces, results[1].forces, atol=1e-7)
    assert abs(results[2].forces - results[0].forces).max() > 0.01
    assert short.name == "tblite:GFN2-xTB"


@pytest.mark.extra("so3krates_torch")
@own_warnings
def test_so3lr_agrees_in_both_precisions():
    double, single = load_model("so3lr"), load_model("so3lr?dtype=float32")
    assert double.capabilities.stress == {Role.CONSERVATIVE}
    check_force_model(double, [water(periodic=True)], tolerance=1e-4, same=1e-8, atoms=2)
    one, two = (finite.evaluate(m, water(), Role.CONSERVATIVE) for m in (double, single))
    difference = abs(one.forces - two.forces).max()
    assert 0 < difference < 1e-3


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("so3lr:x", "expected 'so3lr' alone"),
        ("tblite", "expected a method such as"),
        ("mace", "expected a MACE model file"),
        ("nequip", "expected a file of NequIP or Allegro"),
        ("mace:nothing.model", "expected a MACE model file, got 'mace:nothing.model'"),
    ],
)
def test_calculators_refuse_what_cannot_be(spec, message):
    with pytest.raises(ModelError, match=message):
        load_model(spec)


@pytest.mark.parametrize(
    ("spec", "module", "extra"),
    [("so3lr", "so3krates_torch", "so3lr"), ("tblite:GFN2-xTB", "tblite", "xtb"),
     ("mace:own.model", "mace", "mace"), ("7net", "sevenn", "sevennet"),
     ("chgnet", "chgnet", "chgnet"), ("orb:orb-v3-direct-inf-omat", "orb_models", "orb"),
     ("fairchem:uma-s-1p1?task=omat", "fairchem", "fairchem"),
     ("mattersim", "mattersim", "mattersim"), ("nequip:own.model", "nequip", "nequip"),
     ("torchsim:torch_sim.models.lennard_jones:LennardJonesModel", "torch_sim", "torchsim")],
)  # fmt: skip
def test_calculators_name_the_extra_of_a_missing_package(
    tmp_path, monkeypatch, spec, module, extra
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.model").touch()
    for name in {m for m in sys.modules if m.partition(".")[0] == module} | {module}:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModelError, match=rf'pip install "halfkick\[{extra}\]"'):
        load_model(spec)
