"""The contract test for models: passes what is right, and finds what is wrong."""

from __future__ import annotations

from dataclasses import replace

import finite
import pytest
import toy
from wrong_models import FAULTS

from halfkick.models.base import ForceModel, Role
from halfkick.models.pair import Pair
from halfkick.models.testing import ContractError, check_force_model


def structures():
    molecule = toy.atoms(2, seed=1)
    molecule.pbc, molecule.cell = False, None
    return [finite.structure_of(atoms) for atoms in (toy.atoms(), molecule)]


@pytest.mark.parametrize("options", [{}, {"direct": False}, {"direct_stress": False}])
def test_contract_holds_for_the_toy(options):
    check_force_model(toy.toy(**options), structures(), tolerance=1e-7)


def test_contract_holds_for_two_models_as_one():
    model = toy.toy()
    check_force_model(Pair({role: model for role in Role}), structures(), tolerance=1e-7)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_contract_finds_each_fault(fault):
    with pytest.raises(ContractError, match=FAULTS[fault]) as caught:
        check_force_model(fault(), structures())
    assert len(str(caught.value).splitlines()) == 1
    assert "model 'toy'" in str(caught.value)


def test_contract_wants_structures_that_show_something():
    lone = finite.structure_of(toy.atoms()[:1])
    with pytest.raises(ContractError, match="structures with forces well above the tolerance"):
        check_force_model(toy.toy(), [lone])
    with pytest.raises(ContractError, match="expected structures to check"):
        check_force_model(toy.toy(), [])


def test_contract_leaves_the_model_as_it_was():
    model = toy.toy()
    model.needs_virial = False
    check_force_model(model, structures())
    assert not model.needs_virial


def test_contract_is_checked_for_direct_forces_alone():
    class Direct(toy.Toy):
        def __init__(self):
            super().__init__()
            alone = frozenset({Role.DIRECT})
            self.capabilities = replace(self.capabilities, roles=alone, stress=alone)

    assert isinstance(Direct(), ForceModel)
    check_force_model(Direct(), structures())
