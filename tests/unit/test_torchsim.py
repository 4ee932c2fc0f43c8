"""Models of TorchSim: what they give, and what they cannot be asked for."""

from dataclasses import replace

import networks
import pytest

from halfkick.models.base import Role
from halfkick.models.errors import ModelError
from halfkick.models.frames import structure_of
from halfkick.models.load import load_model
from halfkick.models.testing import ContractError, check_force_model

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.extra("torch_sim")]

WELL = "torchsim:torchsim_well:Well"


@pytest.mark.parametrize("chunk", ["", "&chunk=2"])
def test_torchsim_keeps_the_contract(chunk):
    model = load_model(f"{WELL}?k=0.5{chunk}", dtype="float64")
    assert model.capabilities.roles == {Role.CONSERVATIVE}
    check_force_model(model, [structure_of(a) for a in (networks.ethanol(), networks.hydronium())])


def test_torchsim_forces_that_are_no_gradient_are_seen():
    """The twin of the test above."""
    with pytest.raises(ContractError, match="wrong by a factor of 2"):
        check_force_model(
            load_model(f"{WELL}?factor=2.0", dtype="float64"), [structure_of(networks.ethanol())]
        )


def test_torchsim_takes_what_is_periodic_in_other_directions_in_one_call():
    model = load_model(WELL, dtype="float64")
    free = structure_of(networks.ethanol())
    crystal = structure_of(networks.triclinic())
    some = [free, crystal, crystal, free]
    results = model.evaluate(some, model.capabilities.roles)
    for structure, together in zip(some, results, strict=True):
        (alone,) = model.evaluate([structure], model.capabilities.roles)
        one, other = together[Role.CONSERVATIVE], alone[Role.CONSERVATIVE]
        assert one.forces == pytest.approx(other.forces, abs=1e-12)
        assert one.energy == pytest.approx(other.energy)


def test_torchsim_is_never_told_less_of_the_cell_than_there_is():
    """Release 0.3 takes a slab for no crystal at all, without a word."""
    import numpy as np
    import torch_sim

    slab = structure_of(networks.slab())
    model = load_model(WELL, dtype="float64")
    state = torch_sim.io.atoms_to_state([networks.slab()], model._model.device, model._model.dtype)
    if np.size(state.pbc) == 3:
        (results,) = model.evaluate([slab], model.capabilities.roles)
        assert results[Role.CONSERVATIVE].forces.shape == slab.positions.shape
        return
    with pytest.raises(ModelError, match="got pbc T T F, which this TorchSim takes for F F F"):
        model.evaluate([slab], model.capabilities.roles)
    crystal = replace(slab, pbc=np.array([True] * 3))
    model.evaluate([crystal], model.capabilities.roles)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("torchsim:toy:toy", "to return a model of TorchSim, got Toy; for an ASE calculator write"),
        (f"{WELL}?forces=False", r"write torchsim:.*Well\?compute_forces=True"),
        (f"{WELL}?nothing=1", "expected 'torchsim:torchsim_well:Well' to load, got TypeError"),
        ("torchsim:no_such_module:f", "No module named 'no_such_module'"),
    ],
)
def test_torchsim_refuses_what_cannot_be(spec, message):
    with pytest.raises(ModelError, match=message) as caught:
        load_model(spec)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.extra("orb_models")
@pytest.mark.parametrize("role", list(Role), ids=str)
def test_torchsim_of_orb_equals_its_calculator(tmp_path, role):
    import torch
    from orb_models.forcefield.calculator import ORBCalculator

    torch.save(networks.orb(role is Role.CONSERVATIVE), tmp_path / "orb.pt")
    own = ORBCalculator(torch.load(tmp_path / "orb.pt", weights_only=False), device="cpu")
    model = load_model(f"torchsim:networks:torchsim_orb?file={tmp_path}/orb.pt")
    assert model.capabilities.roles == {role}
    frames = [networks.triclinic(), networks.ethanol()]
    networks.check_equals_calculator(model, own, frames, 2e-5, role)


@pytest.mark.extra("sevenn")
def test_torchsim_of_sevennet_equals_its_calculator():
    from sevenn.calculator import SevenNetCalculator

    pytest.importorskip("sevenn.torchsim", exc_type=ImportError)  # wants a later TorchSim
    model = load_model("torchsim:sevenn.torchsim:SevenNetModel?model=7net-0")
    own = SevenNetCalculator("7net-0", device="cpu")
    networks.check_equals_calculator(model, own, [networks.triclinic()] * 2, 2e-5)
