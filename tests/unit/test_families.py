"""Families of models equal their own calculators.

SevenNet and CHGNet bring weights; small networks of Orb and fairchem have random ones, and are
loaded as trained ones are. Packages exclude each other: tests/tools/families.py runs these tests.
"""

import subprocess
import sys

import networks
import pytest

from halfkick.models.base import Role
from halfkick.models.errors import ModelError
from halfkick.models.frames import structure_of
from halfkick.models.load import load_model
from halfkick.models.testing import check_force_model

pytestmark = pytest.mark.filterwarnings("ignore")  # of old interfaces, in these packages

FRAMES = [networks.triclinic(), networks.slab(), networks.ethanol()]
SINGLE = {"tolerance": 2e-2, "same": 1e-4, "step": 3e-3, "atoms": 2}


@pytest.mark.extra("sevenn")
@pytest.mark.parametrize(("spec", "name"), [("7net", "7net-0"), ("7net:7net-l3i5", "7net-l3i5")])
def test_sevennet_equals_its_calculator(spec, name):
    from sevenn.calculator import SevenNetCalculator

    model = load_model(spec)
    networks.check_equals_calculator(model, SevenNetCalculator(name, device="cpu"), FRAMES, 2e-5)


@pytest.mark.extra("sevenn")
def test_sevennet_keeps_the_contract():
    frames = [structure_of(a) for a in FRAMES]
    check_force_model(load_model("7net?chunk=2"), frames, **SINGLE)


@pytest.mark.extra("sevenn")
@pytest.mark.parametrize("first", ["7net", "ase:sevenn.calculator:SevenNetCalculator?device=cpu"])
def test_sevennet_and_metatomic_models_live_in_one_process(first):
    """torch_geometric changes torch under metatomic's hands."""
    code = f"from halfkick import load_model; load_model({first!r}); load_model('water')"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


@pytest.mark.extra("sevenn", "chgnet")
@pytest.mark.parametrize("spec", ["7net?dtype=float64", "chgnet?dtype=float64"])
def test_families_of_single_precision_refuse_another(spec):
    with pytest.raises(ModelError, match=r"expected dtype float32 for .*, got float64"):
        load_model(spec)


@pytest.mark.extra("chgnet")
@pytest.mark.parametrize(("spec", "name"), [("chgnet", "0.3.0"), ("chgnet:r2scan", "r2scan")])
def test_chgnet_equals_its_calculator(spec, name):
    from chgnet.model import CHGNet
    from chgnet.model.dynamics import CHGNetCalculator

    own = CHGNetCalculator(CHGNet.load(model_name=name), use_device="cpu")
    model = load_model(spec)
    frames = [a.copy() for a in FRAMES]
    frames[-1].set_cell([20.0] * 3)  # its calculator cannot do without
    networks.check_equals_calculator(model, own, frames, 2e-5)
    results = model.evaluate(
        [structure_of(FRAMES[-1]), structure_of(frames[-1])], frozenset(Role) - {Role.DIRECT}
    )
    one, other = (result[Role.CONSERVATIVE].energy for result in results)
    assert one == pytest.approx(other, abs=1e-4)


@pytest.mark.extra("chgnet")
def test_chgnet_keeps_the_contract():
    frames = [structure_of(a) for a in FRAMES]
    check_force_model(load_model("chgnet?chunk=2"), frames, **SINGLE)


@pytest.fixture(scope="module")
def orb(tmp_path_factory):
    """Files of whole models: a direct and a conservative one, and one that is told of charge."""
    import torch

    folder = tmp_path_factory.mktemp("orb")
    torch.save(networks.orb(), folder / "direct.pt")
    torch.save(networks.orb(conservative=True), folder / "conservative.pt")
    torch.save(networks.orb(conservative=True, charged=True), folder / "charged.pt")
    return folder


def orb_calculator(path):
    import torch
    from orb_models.forcefield.calculator import ORBCalculator

    return ORBCalculator(torch.load(path, weights_only=False), device="cpu")


@pytest.mark.extra("orb_models")
@pytest.mark.parametrize("role", list(Role), ids=str)
def test_orb_equals_its_calculator(orb, role):
    frames, path = [networks.triclinic(), networks.ethanol()], orb / f"{role}.pt"
    model = load_model(f"orb:{path}")
    assert model.capabilities.roles == model.capabilities.stress == {role}
    networks.check_equals_calculator(model, orb_calculator(path), frames, 2e-5, role)


@pytest.mark.extra("orb_models")
def test_orb_gives_both_forces_of_one_network_in_one_pass(orb):
    frames = [networks.triclinic(), networks.ethanol()]
    model = load_model(f"orb:{orb}/direct.pt?gradient=True&dtype=float64")
    assert model.capabilities.roles == frozenset(Role)
    structures = [structure_of(a) for a in frames]
    check_force_model(model, structures, tolerance=1e-4, same=1e-8, atoms=1)
    direct = load_model(f"orb:{orb}/direct.pt?dtype=float64")
    both = model.evaluate(structures, frozenset(Role))
    alone = direct.evaluate(structures, frozenset({Role.DIRECT}))
    for one, other in zip(both, alone, strict=True):  # the repulsion is in both
        one, other = one[Role.DIRECT], other[Role.DIRECT]
        assert one.forces == pytest.approx(other.forces, abs=1e-8)
        assert one.virial == pytest.approx(other.virial, abs=1e-6)


@pytest.mark.extra("orb_models")
def test_orb_reads_weights_alone_for_a_named_architecture(tmp_path, monkeypatch):
    import torch
    from orb_models.forcefield import pretrained

    small, other = networks.orb(), networks.orb()
    torch.save(small.state_dict(), tmp_path / "weights.ckpt")
    torch.nn.init.zeros_(next(other.parameters()))
    monkeypatch.setattr(pretrained, "orb_v3_direct_architecture", lambda **_: other)
    name = f"orb:{tmp_path}/weights.ckpt?architecture=orb-v3-direct-inf-omat"
    one = load_model(name).evaluate([structure_of(FRAMES[0])], frozenset({Role.DIRECT}))
    torch.save(small, tmp_path / "whole.pt")
    whole = load_model(f"orb:{tmp_path}/whole.pt")
    other = whole.evaluate([structure_of(FRAMES[0])], frozenset({Role.DIRECT}))
    assert one[0][Role.DIRECT].forces == pytest.approx(other[0][Role.DIRECT].forces, abs=1e-5)
    with pytest.raises(ModelError, match=r"write orb:.*weights.ckpt\?architecture=NAME"):
        load_model(f"orb:{tmp_path}/weights.ckpt")


@pytest.mark.extra("orb_models")
def test_orb_is_told_of_charge_where_it_can_be(orb):
    ion = networks.hydronium()
    model = load_model(f"orb:{orb}/charged.pt")
    assert model.capabilities.inputs == {"charge", "spin"}
    networks.check_equals_calculator(model, orb_calculator(orb / "charged.pt"), [ion], 2e-5)
    neutral = ion.copy()
    neutral.info = {}
    energies = [networks.energy(model, a) for a in (ion, neutral)]
    assert abs(energies[0] - energies[1]) > 1e-3


@pytest.mark.extra("orb_models")
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("orb:orb-v9", r"a model of Orb \(orb-v3-.*\), got 'orb-v9'"),
        ("orb:{}/direct.pt?role=conservative", "whose forces are direct"),
        ("orb:{}/direct.pt?dtype=float16", "expected dtype float32 or float64 for Orb"),
        ("orb:{}/direct.pt?gradients=True", "expected options architecture, chunk, .* got grad"),
    ],
)
def test_orb_refuses_what_cannot_be(orb, spec, message):
    with pytest.raises(ModelError, match=message) as caught:
        load_model(spec.format(orb))
    assert len(str(caught.value).splitlines()) == 1


@pytest.fixture(scope="module")
def esen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("esen")
    networks.esen(folder / "direct.pt", direct=True)
    networks.esen(folder / "conservative.pt", direct=False)
    networks.esen(folder / "omol.pt", direct=False, tasks=("omol",))
    networks.esen(folder / "two.pt", direct=False, tasks=("omat", "omol"))
    return folder


def fairchem_calculator(path):
    from fairchem.core.calculate.ase_calculator import FAIRChemCalculator
    from fairchem.core.units.mlip_unit.predict import MLIPPredictUnit

    return FAIRChemCalculator(MLIPPredictUnit(str(path), device="cpu"))


@pytest.mark.extra("fairchem")
@pytest.mark.parametrize("role", list(Role), ids=str)
def test_fairchem_equals_its_calculator(esen, role):
    model, own = load_model(f"fairchem:{esen}/{role}.pt"), fairchem_calculator(esen / f"{role}.pt")
    assert model.capabilities.roles == {role}
    networks.check_equals_calculator(model, own, FRAMES, 2e-5, role)


@pytest.mark.extra("fairchem")
@pytest.mark.parametrize("role", list(Role), ids=str)
def test_fairchem_keeps_the_contract(esen, role):
    model = load_model(f"fairchem:{esen}/{role}.pt?task=omat&dtype=float64&chunk=2")
    frames = [structure_of(a) for a in FRAMES]
    check_force_model(model, frames, tolerance=1e-4, same=1e-8, atoms=1)


@pytest.mark.extra("fairchem")
def test_fairchem_is_told_of_charge_where_it_can_be(esen):
    ion = networks.hydronium()
    model = load_model(f"fairchem:{esen}/omol.pt")
    assert model.capabilities.inputs == {"charge", "spin"}
    assert load_model(f"fairchem:{esen}/conservative.pt").capabilities.inputs == frozenset()
    networks.check_equals_calculator(model, fairchem_calculator(esen / "omol.pt"), [ion], 2e-5)
    neutral = ion.copy()
    neutral.info = {}
    energies = [networks.energy(model, a) for a in (ion, neutral)]
    assert abs(energies[0] - energies[1]) > 1e-4


@pytest.mark.extra("fairchem")
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("fairchem:uma-9", r"a model of fairchem \(.*uma-s.*\), got 'uma-9'"),
        ("fairchem:{}/two.pt", r"has \(omat, omol\), got none; write .*two.pt\?task=omat"),
        ("fairchem:{}/conservative.pt?task=oc20", r"has \(omat\), got oc20"),
        ("fairchem:{}/direct.pt?role=conservative", "whose forces are direct"),
        ("fairchem:{}/direct.pt?nothing=1", "to load, got TypeError: .*nothing"),
        ("fairchem:uma-s-1p1?task=omat", "expected a network to download the weights of"),
    ],
)
def test_fairchem_refuses_what_cannot_be(esen, monkeypatch, spec, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match=message) as caught:
        load_model(spec.format(esen))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.extra("mace")
def test_mace_equals_its_calculator(tmp_path):
    from mace.calculators import MACECalculator

    networks.mace(tmp_path / "mace.model")
    model = load_model(f"mace:{tmp_path}/mace.model?dtype=float64")
    own = MACECalculator(f"{tmp_path}/mace.model", device="cpu", default_dtype="float64")
    networks.check_equals_calculator(model, own, FRAMES, 1e-8)
    frames = [structure_of(a) for a in FRAMES[:2]]
    check_force_model(model, frames, tolerance=1e-4, same=1e-8, atoms=1)


@pytest.mark.extra("mattersim")
def test_mattersim_equals_its_calculator(tmp_path):
    from mattersim.forcefield import MatterSimCalculator

    networks.mattersim(tmp_path / "small.pth")
    model = load_model(f"mattersim:{tmp_path}/small.pth")
    own = MatterSimCalculator.from_checkpoint(f"{tmp_path}/small.pth", device="cpu")
    networks.check_equals_calculator(model, own, FRAMES[:1], 2e-5)
    check_force_model(model, [structure_of(FRAMES[0])], **{**SINGLE, "tolerance": 5e-3})
