"""Exported metatomic models: physics, batches, names and units, and i-PI's own driver."""

import warnings
from dataclasses import replace

import ase.io
import exported
import finite
import numpy as np
import pytest
import toy
from ase.build import molecule
from finite import BOTH, CONSERVATIVE, DIRECT
from ipi.pes.metatomic import MetatomicDriver
from waters import water

from halfkick.driver.server.units import BOHR, HARTREE
from halfkick.models.backends.metatomic import MetatomicModel
from halfkick.models.backends.wrap import Images
from halfkick.models.base import Role, without_mean_force
from halfkick.models.errors import ModelError
from halfkick.models.load import find_file
from halfkick.models.testing import check_force_model


def slab():
    atoms = water(seed=5)
    atoms.pbc = (True, True, False)
    return atoms


SYSTEMS = {
    "liquid": lambda: water(),
    "small cell": lambda: water(1),
    "slab": slab,
    "molecule": lambda: molecule("H2O"),
}


@pytest.fixture(scope="module")
def shipped():
    """The water model as it ships, in float32."""
    return MetatomicModel(find_file("water"))


@pytest.fixture(scope="module")
def precise():
    """The water model in float64, for derivatives."""
    return MetatomicModel(find_file("water"), dtype="float64")


@pytest.fixture
def soft(tmp_path):
    return MetatomicModel(exported.export(tmp_path / "soft.pt"))


def assert_same(result, other, tolerance):
    assert result.energy == pytest.approx(other.energy, abs=tolerance)
    np.testing.assert_allclose(result.forces, other.forces, atol=tolerance)
    np.testing.assert_allclose(result.virial, other.virial, atol=tolerance)


@pytest.mark.parametrize("name", SYSTEMS)
def test_metatomic_forces_and_virial_are_derivatives_of_the_energy(name, precise):
    check_force_model(precise, [finite.structure_of(SYSTEMS[name]())], tolerance=2e-5)


def test_metatomic_contract_holds_in_single_precision(shipped):
    structures = [finite.structure_of(SYSTEMS[name]()) for name in ("small cell", "molecule")]
    check_force_model(shipped, structures, tolerance=2e-2, same=1e-4, step=1e-2)


def test_metatomic_derivatives_are_those_of_an_analytic_model(soft):
    check_force_model(soft, [finite.structure_of(toy.atoms())], tolerance=1e-7)


def test_metatomic_direct_results_are_the_outputs_of_the_model(soft):
    atoms = toy.atoms()
    result = finite.evaluate(soft, finite.structure_of(atoms), Role.DIRECT)
    assert result.energy == 0.0
    np.testing.assert_allclose(result.virial, -0.01 * atoms.get_volume() * np.eye(3))
    atoms.pbc, atoms.cell = False, None
    d = atoms.positions[None] - atoms.positions[:, None]
    x = np.clip(1 - (d**2).sum(axis=2) / 3.0**2, 0, None) ** 2
    swirl = x[:, :, None] * np.stack([-d[:, :, 1], d[:, :, 0], d[:, :, 2]], axis=2)
    result = finite.evaluate(soft, finite.structure_of(atoms), Role.DIRECT)
    np.testing.assert_allclose(result.forces, swirl.sum(axis=1), atol=1e-12)
    assert not result.virial.any()


@pytest.mark.parametrize("chunk", [1, 2, None, 100])
@pytest.mark.parametrize("roles", [DIRECT, CONSERVATIVE, BOTH])
def test_metatomic_batch_equals_one_by_one(chunk, roles, precise):
    structures = [finite.structure_of(make(), name) for name, make in SYSTEMS.items()]
    alone = [precise.evaluate([structure], roles)[0] for structure in structures]
    batched = MetatomicModel(find_file("water"), dtype="float64", chunk=chunk)
    for _ in range(2):
        together = batched.evaluate(structures, roles)
        for one, other in zip(together, alone, strict=True):
            for role in roles:
                assert_same(one[role], other[role], 1e-9)


def test_metatomic_direct_forces_come_first(shipped):
    """Those of all structures before the last gradient is made, and then everything."""
    structures = [finite.structure_of(water(seed=seed)) for seed in range(3)]
    expected = shipped.evaluate(structures, BOTH)
    early, complete = shipped.evaluate_in_parts(structures, BOTH)
    assert Role.CONSERVATIVE not in early[-1]
    assert [set(results) for results in complete] == [set(Role)] * 3
    for results, other in zip([*early, *complete], expected * 2, strict=True):
        for role, result in results.items():
            assert_same(result, other[role], 1e-4)
    assert len([*shipped.evaluate_in_parts(structures, DIRECT)]) == 1


def test_metatomic_forces_are_the_same_without_virial(precise):
    structure = finite.structure_of(water())
    (expected,) = precise.evaluate([structure], BOTH)
    lean = MetatomicModel(find_file("water"), dtype="float64")
    lean.needs_virial = False
    for roles in (BOTH, DIRECT, CONSERVATIVE):
        (results,) = lean.evaluate([structure], roles)
        for role, result in results.items():
            assert not result.virial.any() and expected[role].virial.any()
            np.testing.assert_allclose(result.forces, expected[role].forces, atol=1e-9)


def test_metatomic_evaluates_a_lone_atom(soft, shipped):
    atoms = toy.atoms()[:1]
    for model in (soft, shipped):
        for periodic in (True, False):
            atoms.pbc = periodic
            (results,) = model.evaluate([finite.structure_of(atoms)], BOTH)
            for role in Role:
                assert np.isfinite(results[role].virial).all()
            assert not results[Role.CONSERVATIVE].forces.any()


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("role", Role)
def test_metatomic_equals_the_driver_of_ipi(role, batched, shipped, tmp_path):
    frames = [water(seed=seed) for seed in range(3)]
    template = tmp_path / "template.xyz"
    ase.io.write(template, frames[0])
    cells = [frame.cell.array.T / BOHR for frame in frames]
    positions = [frame.positions / BOHR for frame in frames]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # i-PI asks for outputs by their old names
        driver = MetatomicDriver(
            template, str(find_file("water")), non_conservative=role is Role.DIRECT
        )
        if batched:
            theirs = driver(cells, positions)
        else:
            theirs = [driver(*pair) for pair in zip(cells, positions, strict=True)]
    structures = [finite.structure_of(frame) for frame in frames]
    ours = [results[role] for results in shipped.evaluate(structures, frozenset({role}))]
    for result, (energy, forces, virial, _) in zip(ours, theirs, strict=True):
        if role is Role.DIRECT:
            ours_forces = without_mean_force(result.forces)
        else:
            ours_forces = result.forces
            assert result.energy == pytest.approx(energy * HARTREE, rel=1e-5, abs=2e-5)
        scale = abs(ours_forces).max()
        np.testing.assert_allclose(
            ours_forces, forces * HARTREE / BOHR, atol=1e-5 * max(scale, 1.0)
        )
        scale = abs(result.virial).max()
        np.testing.assert_allclose(result.virial, virial * HARTREE, atol=2e-5 * max(scale, 1.0))


@pytest.mark.parametrize("force_name", ["non_conservative_force", "non_conservative_forces"])
@pytest.mark.parametrize("variant", [None, "pbe"])
def test_metatomic_outputs_are_found_under_any_name(force_name, variant, soft, tmp_path):
    path = exported.export(tmp_path / "other.pt", variant=variant, force_name=force_name)
    model = MetatomicModel(path, variant=variant)
    assert model.capabilities == soft.capabilities
    structure = finite.structure_of(toy.atoms())
    (results,), (expected,) = (m.evaluate([structure], BOTH) for m in (model, soft))
    for role in Role:
        assert_same(results[role], expected[role], 1e-12)


def test_metatomic_units_are_converted(soft, tmp_path):
    path = exported.export(
        tmp_path / "other.pt", length_unit="nm", length=10.0, energy_unit="meV", energy=1e-3
    )
    model = MetatomicModel(path)
    assert model.capabilities.cutoff == pytest.approx(3.0)
    structure = finite.structure_of(toy.atoms())
    (results,), (expected,) = (m.evaluate([structure], BOTH) for m in (model, soft))
    for role in Role:
        assert_same(results[role], expected[role], 1e-9)


@pytest.mark.parametrize(
    ("kinds", "roles", "stress"),
    [
        (("energy",), CONSERVATIVE, CONSERVATIVE),
        (("energy", "force"), BOTH, CONSERVATIVE),
        (("force",), DIRECT, frozenset()),
        (("force", "stress"), DIRECT, DIRECT),
    ],
)
def test_metatomic_offers_what_the_model_has(kinds, roles, stress, tmp_path):
    model = MetatomicModel(exported.export(tmp_path / "some.pt", kinds=kinds))
    assert model.capabilities.roles == roles
    assert model.capabilities.stress == stress
    structure = finite.structure_of(toy.atoms())
    (results,) = model.evaluate([structure], roles)
    for role in roles:
        assert results[role].virial.any() == (role in stress)
    for role in BOTH - roles:
        with pytest.raises(ModelError, match=f"offer {role} forces"):
            model.evaluate([structure], frozenset({role}))


def test_metatomic_refuses_what_it_cannot_run(soft, tmp_path):
    path = exported.export(tmp_path / "pbe.pt", variant="pbe")
    with pytest.raises(ModelError, match=r"got energy/pbe.*variant=NAME"):
        MetatomicModel(path)
    with pytest.raises(ModelError, match="energy/scan"):
        MetatomicModel(path, variant="scan")
    structure = finite.structure_of(toy.atoms())
    with pytest.raises(ModelError, match=r"knows \(H, O\), got C, Al"):
        soft.evaluate([replace(structure, numbers=structure.numbers + 5)], BOTH)
    with pytest.raises(ModelError, match="expected model 'soft' to evaluate 1 structures"):
        soft.evaluate([replace(structure, numbers=structure.numbers[:-1])], BOTH)
    only_cuda = exported.export(tmp_path / "cuda.pt", devices=["cuda"])
    with pytest.raises(ModelError, match=r"supports \(cuda\), got cpu"):
        MetatomicModel(only_cuda)
    not_a_model = tmp_path / "text.pt"
    not_a_model.write_text("no model")
    with pytest.raises(ModelError, match="expected an exported metatomic model"):
        MetatomicModel(not_a_model)


def test_metatomic_dtype_converts_the_model(shipped, precise):
    structure = finite.structure_of(water())
    (single,), (double,) = (m.evaluate([structure], BOTH) for m in (shipped, precise))
    for role in Role:
        assert single[role].forces.dtype == np.float64
        assert_same(single[role], double[role], 1e-3)
        assert (single[role].forces != double[role].forces).any()


def unwrapped(structure, cells=100):
    """The same structure with each atom in an image of the cell of its own."""
    images = np.random.default_rng(3).integers(-cells, cells, structure.positions.shape)
    return replace(structure, positions=structure.positions + images @ structure.cell)


@pytest.mark.parametrize("engine", ["edges", "torchscript"])
def test_metatomic_forces_are_the_same_a_hundred_cells_away(engine, caplog):
    model = MetatomicModel(find_file("water"), engine=engine)
    structure = finite.structure_of(water())
    (near,), (far,) = (model.evaluate([s], BOTH) for s in (structure, unwrapped(structure)))
    for role in Role:
        np.testing.assert_allclose(far[role].forces, near[role].forces, rtol=0, atol=2e-5)
        np.testing.assert_allclose(far[role].virial, near[role].virial, rtol=0, atol=2e-4)
    assert "to equal its TorchScript" not in caplog.text


def test_metatomic_forces_suffer_a_hundred_cells_away_unless_wrapped(monkeypatch):
    """The twin of the test above: single precision does lose digits there."""
    monkeypatch.setattr(Images, "near_origin", lambda self, structure: structure.positions)
    model = MetatomicModel(find_file("water"), engine="torchscript")
    structure = finite.structure_of(water())
    (near,), (far,) = (model.evaluate([s], BOTH) for s in (structure, unwrapped(structure)))
    conservative = [r[Role.CONSERVATIVE].forces for r in (near, far)]
    assert np.abs(conservative[0] - conservative[1]).max() > 1e-3
