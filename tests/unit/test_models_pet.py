"""PET edge by edge against metatrain's own TorchScript, whatever its options."""

import logging

import exported
import numpy as np
import pytest
import torch
from finite import BOTH, CONSERVATIVE, DIRECT
from pets import HEADS, OPTIONS, export, structures

from halfkick.models.backends.exported import load_exported
from halfkick.models.backends.metatomic import MetatomicModel
from halfkick.models.backends.pet import engine
from halfkick.models.backends.pet.config import PETConfig
from halfkick.models.backends.pet.engine import PetEngine
from halfkick.models.backends.torchscript import TorchScriptEngine
from halfkick.models.base import Role
from halfkick.models.errors import ModelError, Unsupported
from halfkick.models.load import find_file, load_model


@pytest.mark.parametrize("name", OPTIONS)
def test_pet_equals_torchscript(name, tmp_path):
    path = export(tmp_path / "model.pt", OPTIONS[name])
    edges, script = (
        MetatomicModel(path, dtype="float64", chunk=4, engine=e) for e in ("edges", "torchscript")
    )
    assert isinstance(edges._engine, PetEngine) and isinstance(script._engine, TorchScriptEngine)
    for roles in (DIRECT, CONSERVATIVE, BOTH, BOTH):
        found = [model.evaluate(structures(), roles) for model in (edges, script)]
        for one, other in zip(*found, strict=True):
            for role in roles:
                assert one[role].energy == pytest.approx(other[role].energy, abs=1e-9)
                np.testing.assert_allclose(one[role].forces, other[role].forces, atol=1e-9)
                np.testing.assert_allclose(one[role].virial, other[role].virial, atol=1e-9)
    assert isinstance(edges._engine, PetEngine)
    assert np.abs(found[0][0][Role.CONSERVATIVE].forces).max() > 0.01


@pytest.mark.parametrize("roles", [DIRECT, CONSERVATIVE])
def test_pet_that_differs_runs_as_torchscript(roles, monkeypatch, caplog):
    """The twin: a mistake in the arithmetic is found at the first structure."""
    right = PETConfig.cutoff_factors
    monkeypatch.setattr(PETConfig, "cutoff_factors", lambda self, r: 0.9 * right(self, r))
    model = load_model("water")
    other = load_model("water?engine=torchscript")
    (atoms, *_), name = structures(), next(iter(roles))
    with caplog.at_level(logging.WARNING):
        found = model.evaluate([atoms], roles)[0][name]
    assert "edge by edge to equal its TorchScript, got a difference of" in caplog.text
    assert isinstance(model._engine, TorchScriptEngine)
    np.testing.assert_allclose(
        found.forces, other.evaluate([atoms], roles)[0][name].forces, atol=1e-4
    )


def test_pet_with_unknown_parts_runs_as_torchscript(tmp_path, caplog):
    path = export(tmp_path / "model.pt", {"num_neighbors_adaptive": 6}, HEADS[:2])
    with caplog.at_level(logging.INFO):
        model = MetatomicModel(path)
    assert "runs as TorchScript, not edge by edge: num_neighbors_adaptive" in caplog.text
    assert set(model.evaluate(structures()[:1], BOTH)[0]) == BOTH


def test_pet_of_another_architecture_runs_as_torchscript(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        model = MetatomicModel(exported.export(tmp_path / "soft.pt"))
    assert "runs as TorchScript, not edge by edge: it is no PET" in caplog.text
    assert isinstance(model._engine, TorchScriptEngine)


@pytest.mark.parametrize("kind", [KeyError, AttributeError, NotImplementedError])
def test_pet_engine_mistake_is_not_hidden(kind, monkeypatch):
    def broken(*args):
        raise kind("mistake")

    monkeypatch.setattr(engine.Network, "__init__", broken)
    with pytest.raises(kind, match="mistake"):
        load_model("water")


@pytest.mark.parametrize("missing", ["long_range", "cutoff_width", "scaler.", "edge_embedder"])
def test_pet_of_another_version_is_not_for_the_engine(missing, monkeypatch):
    """What it lacks is said; nothing is guessed."""
    exported_model = load_exported(find_file("water"), None)

    class Without:
        """A module in which ``missing`` has another name."""

        def __init__(self, module):
            self._module = module

        def __getattr__(self, name):
            if name == missing:
                raise AttributeError(name)
            value = getattr(self._module, name)
            return Without(value) if name in ("module", "backend") else value

        def state_dict(self):
            return {k.replace(missing, "x"): v for k, v in self._module.state_dict().items()}

    names = {"energy": "energy", "force": "non_conservative_force"}
    with pytest.raises(Unsupported, match=f"no .*{missing}"):
        engine.PetEngine(Without(exported_model), names, torch.float32, torch.device("cpu"), 1.0)


def test_pet_refuses_an_unknown_engine():
    with pytest.raises(ModelError, match=r"expected engine edges or torchscript .* got 'fast'"):
        load_model(f"{find_file('water')}?engine=fast")
