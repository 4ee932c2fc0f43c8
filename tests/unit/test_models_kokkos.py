"""pet-kokkos gives the energies, forces and virials that the exported model gives."""

from __future__ import annotations

import numpy as np
import pytest
from finite import CONSERVATIVE, evaluate, structure_of
from toy import atoms

from halfkick.models.base import Role
from halfkick.models.errors import ModelError
from halfkick.models.load import load_model

SMALL = {"d_pet": 16, "d_head": 16, "d_node": 32, "d_feedforward": 16, "num_heads": 4}


def structures():
    lone = atoms(seed=3)
    lone.pbc = False
    return [structure_of(frame) for frame in (atoms(), atoms(seed=1), lone)]


def test_checkpoint_needs_an_engine(tmp_path):
    path = tmp_path / "some.ckpt"
    path.write_text("")
    for query in ("", "?engine=torch", "?engine=kokkos&chunk=1"):
        with pytest.raises(ModelError, match=r"expected 'some.ckpt\?engine=kokkos'"):
            load_model(f"{path}{query}")


@pytest.mark.extra("pet_kokkos", "metatrain")
def test_kokkos_gives_what_the_exported_model_gives(tmp_path):
    from halfkick.models.backends.pet import metatrain as network

    heads = (network.ENERGY, network.DIRECT)
    model = network.new([1, 8], heads, SMALL | {"cutoff": 4.0}, {1: -1.5, 8: -40.0})
    network.write(model, tmp_path / "small.ckpt")
    network.export(model, tmp_path / "small.pt")
    kokkos = load_model(f"{tmp_path}/small.ckpt?engine=kokkos")
    exported = load_model(f"{tmp_path}/small.pt")
    assert kokkos.capabilities.roles == CONSERVATIVE
    assert kokkos.capabilities.species == {1, 8}
    batch = kokkos.evaluate(structures(), CONSERVATIVE)
    for structure, results in zip(structures(), batch, strict=True):
        found, expected = (
            results[Role.CONSERVATIVE],
            evaluate(exported, structure, Role.CONSERVATIVE),
        )
        assert found.energy == pytest.approx(expected.energy, rel=1e-6)
        scale = abs(expected.forces).max()
        np.testing.assert_allclose(found.forces, expected.forces, atol=1e-4 * scale)
        if structure.pbc.all():
            scale = abs(expected.virial).max()
            np.testing.assert_allclose(found.virial, expected.virial, atol=1e-4 * scale)
    # the comparison sees another structure
    assert (
        abs(batch[0][Role.CONSERVATIVE].forces - batch[1][Role.CONSERVATIVE].forces).max()
        > scale / 10
    )
    with pytest.raises(ModelError, match="offers only conservative"):
        kokkos.evaluate(structures(), frozenset({Role.DIRECT}))
