"""What i-PI may name in INIT, and what only the driver's own input or its owner may."""

from __future__ import annotations

import pytest

from halfkick.driver.errors import InputError
from halfkick.driver.server.trust import Trust
from halfkick.models.errors import ModelError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    monkeypatch.setenv("HOME", str(tmp_path))
    (inside / "model.pt").touch()
    (tmp_path / "model.pt").touch()
    (inside / "link.pt").symlink_to(tmp_path / "model.pt")
    return tmp_path


def refusal(trust, model, template="init.xyz"):
    try:
        trust.check({"model": model, "template": template})
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "model",
    [
        "water", "water?chunk=4&skin=0.5&engine=torchscript", "model.pt", "./model.pt?variant=pbe",
        "sub/model.ckpt?engine=kokkos&tf32=True", "so3lr?dtype=float32", "tblite:GFN2-xTB",
        "tblite:GFN1-xTB?charge=-1&accuracy=0.1", "mace:model.model?dtype=float64",
        "7net", "orb:orb-v3-direct-inf-omat?dtype=float64", "fairchem:model.pt?task=omat",
    ],
)  # fmt: skip
def test_trust_lets_files_here_and_fixed_names_come(model):
    assert refusal(Trust(), model) == ""


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("python:os:system?command=true", "python:os:system"),
        ("ase:os:getcwd", "ase:os:getcwd"),
        ("torchsim:os:getcwd", "torchsim:os:getcwd"),
        (" python:os:getcwd", "python:os:getcwd"),
        ("model.pt?extensions=libraries", "extensions"),
        ("water?extensions=libraries", "extensions"),
        ("so3lr?model_paths=model.pt", "model_paths"),
        ("tblite:GFN2-xTB?xtb_config=file.toml", "xtb_config"),
        ("mace:model.model?model_paths=other.model", "model_paths"),
    ],
)
def test_trust_refuses_code_unless_allowed(model, named):
    assert f"a model that names no code, got '{named}' in" in refusal(Trust(), model)
    assert "--allow-code" in refusal(Trust(allow_outside=True), model)
    assert refusal(Trust(allow_code=True), model) == ""
    assert refusal(Trust(models={model}), model) == ""
    assert refusal(Trust(models={"python:os:getpid"}), model)


@pytest.mark.parametrize(
    "model", ["../model.pt", "~/model.pt", "link.pt", "mace:../model.pt", "/x"]
)
def test_trust_refuses_files_elsewhere_unless_allowed(model):
    assert "--allow-outside" in refusal(Trust(), model)
    assert "--allow-outside" in refusal(Trust(allow_code=True), model)
    assert refusal(Trust(allow_outside=True), model) == ""
    assert refusal(Trust(models={model}), model) == ""


def test_trust_refuses_a_template_elsewhere_unless_allowed(folder):
    outside = f"{folder}/init.xyz"
    assert "--allow-outside" in refusal(Trust(), "water", outside)
    assert refusal(Trust(allow_outside=True), "water", outside) == ""
    assert refusal(Trust(templates={outside}), "water", outside) == ""


def test_trust_refuses_a_name_that_cannot_be_read():
    with pytest.raises(ModelError, match="expected options as key=value"):
        Trust().check({"model": "water?chunk", "template": "init.xyz"})
