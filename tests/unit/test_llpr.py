"""metatrain's LLPR of the water model: as quick inside, and the numbers of i-PI's own driver."""

from __future__ import annotations

import json
import warnings

import ase.io
import numpy as np
import pytest
from finite import BOTH, structure_of
from ipi.pes.metatomic import MetatomicDriver
from llpr import MEMBERS, llpr_of_water
from waters import water

from halfkick.driver.server.force_field import ForceField
from halfkick.driver.server.units import BOHR
from halfkick.models.backends.metatomic import MetatomicModel
from halfkick.models.backends.pet.engine import PetEngine
from halfkick.models.base import Role
from halfkick.models.load import find_file

ASKED = [
    {"energy_ensemble": True},
    {"energy_ensemble": True, "force_virial_ensemble": True},
    {"uncertainty_threshold": 0.1},
]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return llpr_of_water(tmp_path_factory.mktemp("llpr"))


@pytest.fixture(scope="module")
def model(path):
    return MetatomicModel(path)


def test_llpr_runs_edge_by_edge_and_gives_the_forces_of_its_model(model):
    structure = structure_of(water())
    (own,), (plain,) = (m.evaluate([structure], BOTH) for m in (model, shipped()))
    assert isinstance(model._engine, PetEngine)
    for role in Role:
        np.testing.assert_array_equal(own[role].forces, plain[role].forces)


def shipped():
    return MetatomicModel(find_file("water"))


@pytest.mark.parametrize("asked", ASKED)
def test_llpr_extras_are_those_of_ipis_own_driver(asked, path, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames = [water(seed=seed) for seed in range(2)]
    ase.io.write("init.xyz", frames[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # i-PI asks for outputs by their old names
        theirs = MetatomicDriver("init.xyz", str(path), **asked)
        cells = [frame.cell.array.T / BOHR for frame in frames]
        answers = theirs(cells, [frame.positions / BOHR for frame in frames])
    own = {"model": "llpr", "role": "conservative", "template": "init.xyz"}
    field = ForceField(own | {k: str(v) for k, v in asked.items()}, lambda _: model, False)
    structures = [structure_of(frame) for frame in frames]
    served = field.collect(model.evaluate(structures, frozenset({Role.CONSERVATIVE})))
    for text, (*_, expected) in zip(field.encode(served).extras, answers, strict=True):
        ours, wanted = json.loads(text), json.loads(expected)
        assert ours.keys() == wanted.keys()
        for key, values in wanted.items():
            count = MEMBERS if key.startswith("committee") else len(frames[0])
            assert len(ours[key]) == count
            scale = np.abs(values).max()
            np.testing.assert_allclose(np.ravel(ours[key]), values, rtol=0, atol=1e-4 * scale)
            assert np.ptp(ours[key], axis=0).max() > 1e-2 * scale  # members, or atoms, differ
