"""ASE calculators as models: EMT, GFN2-xTB, SO3LR, and ones that misbehave."""

import dataclasses
import sys

import finite
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from finite import CONSERVATIVE, DIRECT

from halfkick.models.backends.ase import AseModel
from halfkick.models.base import Role
from halfkick.models.errors import ModelError
from halfkick.models.load import load_model
from halfkick.models.testing import check_force_model


def copper():
    """A strained, rattled, triclinic piece of copper."""
    atoms = bulk("Cu") * (2, 2, 2)
    deformation = np.array([[1.03, 0.01, 0], [0, 0.98, 0.02], [0.01, 0, 1.04]])
    atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    return atoms


def two_waters():
    """Two molecules in a small triclinic box."""
    atoms = molecule("H2O")
    other = molecule("H2O")
    other.rotate(70, (1, 2, 3))
    other.translate((2.4, 1.9, 0.8))
    atoms += other
    atoms.cell = [[5.5, 0, 0], [0.6, 5.2, 0], [-0.4, 0.5, 5.8]]
    atoms.pbc = True
    atoms.rattle(0.05, seed=2)
    return atoms


def test_emt_forces_are_derivatives_of_the_energy():
    model = load_model("ase:ase.calculators.emt:EMT")
    assert model.capabilities.roles == model.capabilities.stress == CONSERVATIVE
    check_force_model(model, [finite.structure_of(copper())], tolerance=1e-6)


def test_ase_model_equals_the_calculator_itself():
    model = AseModel("emt", EMT)
    frames = []
    for seed in range(3):
        frames.append(copper())
        frames[-1].rattle(0.1, seed=seed)
    results = model.evaluate([finite.structure_of(frame) for frame in frames], CONSERVATIVE)
    for frame, result in zip(frames, results, strict=True):
        frame.calc = EMT()
        expected = result[Role.CONSERVATIVE]
        assert expected.energy == pytest.approx(frame.get_potential_energy(), abs=1e-12)
        np.testing.assert_allclose(expected.forces, frame.get_forces(), atol=1e-12)
        stress = frame.get_stress(voigt=False)
        np.testing.assert_allclose(expected.virial, -frame.get_volume() * stress, atol=1e-12)


@pytest.mark.extra("tblite")
def test_xtb_forces_are_derivatives_of_the_energy():
    spec = "ase:tblite.ase:TBLite?method=GFN2-xTB&verbosity=0&accuracy=0.01"
    model = load_model(spec)
    waters = finite.structure_of(two_waters())
    check_force_model(model, [waters], tolerance=5e-5, same=1e-6, atoms=2)


@pytest.mark.extra("tblite")
def test_xtb_molecule_has_no_virial():
    model = load_model("ase:tblite.ase:TBLite?verbosity=0")
    result = finite.evaluate(model, finite.structure_of(molecule("H2O")), Role.CONSERVATIVE)
    assert np.isfinite(result.forces).all() and not result.virial.any()


def test_calculators_of_tblite_take_no_slabs():
    """It computes T T T where it is told T T F; of another package the calculator is asked."""
    kinds = [type("Calculator", (LennardJones,), {"__module__": m}) for m in ("tblite.ase", "lj")]
    of_tblite, other = (AseModel("some", kind) for kind in kinds)
    slab = dataclasses.replace(finite.structure_of(copper()), pbc=np.array([True, True, False]))
    with pytest.raises(ModelError, match="got pbc T T F"):
        of_tblite.evaluate([slab], CONSERVATIVE)
    assert other.evaluate([slab], CONSERVATIVE)
    for pbc in (True, False):
        same = dataclasses.replace(slab, pbc=np.full(3, pbc))
        assert of_tblite.evaluate([same], CONSERVATIVE)


@pytest.mark.extra("tblite")
def test_xtb_with_two_periodic_directions_is_that_with_three():
    """Why: it says nothing, and a slab becomes a stack of slabs."""
    from tblite.ase import TBLite

    energies = []
    for pbc in ([True, True, False], True, False):
        waters = two_waters()
        waters.pbc = pbc
        waters.calc = TBLite(method="GFN1-xTB", verbosity=0)
        energies.append(waters.get_potential_energy())
    assert energies[0] == pytest.approx(energies[1], abs=1e-9)
    assert abs(energies[0] - energies[2]) > 1e-3


so3lr = pytest.mark.filterwarnings("ignore")  # its own, of old interfaces
SO3LR = "ase:so3krates_torch.calculator.so3:SO3LRCalculator?default_dtype=float64"


@pytest.mark.extra("so3krates_torch")
@so3lr
def test_so3lr_forces_are_derivatives_of_the_energy():
    model = load_model(f"{SO3LR}&compute_stress=True")
    assert model.capabilities.stress == CONSERVATIVE
    waters = finite.structure_of(two_waters())
    check_force_model(model, [waters], tolerance=1e-5, same=1e-8, atoms=2)
    whole = finite.evaluate(model, waters, Role.CONSERVATIVE)
    model.needs_virial = False
    moved = dataclasses.replace(waters, positions=waters.positions + 1.0)  # else ASE remembers
    lean = finite.evaluate(model, moved, Role.CONSERVATIVE)
    assert whole.virial.any() and not lean.virial.any()
    np.testing.assert_allclose(lean.forces, whole.forces, atol=1e-9)


@pytest.mark.extra("so3krates_torch")
@so3lr
def test_so3lr_leaves_the_process_as_it_was(capsys):
    import torch

    model = load_model(SO3LR)
    assert torch.get_default_dtype() == torch.float32
    finite.evaluate(model, finite.structure_of(two_waters()), Role.CONSERVATIVE)
    assert torch.get_default_dtype() == torch.float32
    assert capsys.readouterr().out == ""


@pytest.mark.extra("so3krates_torch")
@so3lr
def test_so3lr_without_stress_says_so():
    model = load_model(SO3LR)
    assert not model.capabilities.stress
    result = finite.evaluate(model, finite.structure_of(two_waters()), Role.CONSERVATIVE)
    assert not result.virial.any()


def test_ase_model_lets_the_calculator_set_the_torch_dtype():
    torch = pytest.importorskip("torch")
    seen = []

    class Careless(LennardJones):
        def __init__(self):
            super().__init__()
            torch.set_default_dtype(torch.float64)

        def calculate(self, *args, **kwargs):
            seen.append(torch.get_default_dtype())
            super().calculate(*args, **kwargs)

    model = AseModel("careless", Careless)
    finite.evaluate(model, finite.structure_of(copper()), Role.CONSERVATIVE)
    assert set(seen) == {torch.float64}
    assert torch.get_default_dtype() == torch.float32


class Boaster(Calculator):
    """Lists a stress and gives none."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms, properties, system_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}


def test_ase_model_refuses_a_stress_listed_and_not_given():
    model = AseModel("boaster", Boaster)
    with pytest.raises(ModelError, match="properties it lists, got none for"):
        finite.evaluate(model, finite.structure_of(copper()), Role.CONSERVATIVE)
    free = copper()
    free.pbc = False
    finite.evaluate(model, finite.structure_of(free), Role.CONSERVATIVE)


def test_ase_model_refuses_what_it_cannot_be():
    model = AseModel("emt", EMT)
    with pytest.raises(ModelError, match="to offer direct forces"):
        model.evaluate([finite.structure_of(copper())], DIRECT)
    iron = copper()
    iron.numbers[:] = 26
    with pytest.raises(ModelError, match=r"expected 'emt' to evaluate Fe8, got .*Error"):
        finite.evaluate(model, finite.structure_of(iron), Role.CONSERVATIVE)
    with pytest.raises(ModelError, match="to return an ASE calculator with energy and forces"):
        AseModel("list", list)
    with pytest.raises(ModelError, match="got TypeError"):
        AseModel("list", list, {"nonsense": 1})


def test_ase_model_needs_no_torch(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    finite.evaluate(AseModel("emt", EMT), finite.structure_of(copper()), Role.CONSERVATIVE)
    assert "torch" not in sys.modules
