"""Families with real weights in their packages: they equal their own calculators."""

import families
import pytest

from halfkick.models.base import Role
from halfkick.models.errors import ModelError
from halfkick.models.frames import structure_of
from halfkick.models.load import load_model
from halfkick.models.testing import check_force_model

pytestmark = pytest.mark.filterwarnings("ignore")  # of old interfaces, in these packages

FRAMES = [families.triclinic(), families.slab(), families.ethanol()]
SINGLE = {"tolerance": 2e-2, "same": 1e-4, "step": 3e-3, "atoms": 2}


@pytest.mark.extra("sevenn")
@pytest.mark.parametrize(("spec", "name"), [("7net", "7net-0"), ("7net:7net-l3i5", "7net-l3i5")])
def test_sevennet_equals_its_calculator(spec, name):
    from sevenn.calculator import SevenNetCalculator

    model = load_model(spec)
    families.check_equals_calculator(model, SevenNetCalculator(name, device="cpu"), FRAMES, 2e-5)


@pytest.mark.extra("sevenn")
def test_sevennet_keeps_the_contract():
    frames = [structure_of(a) for a in FRAMES]
    check_force_model(load_model("7net?chunk=2"), frames, **SINGLE)


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
    families.check_equals_calculator(model, own, frames, 2e-5)
    results = model.evaluate(
        [structure_of(FRAMES[-1]), structure_of(frames[-1])], frozenset(Role) - {Role.DIRECT}
    )
    one, other = (result[Role.CONSERVATIVE].energy for result in results)
    assert one == pytest.approx(other, abs=1e-4)


@pytest.mark.extra("chgnet")
def test_chgnet_keeps_the_contract():
    frames = [structure_of(a) for a in FRAMES]
    check_force_model(load_model("chgnet?chunk=2"), frames, **SINGLE)
