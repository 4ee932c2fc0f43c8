"""The network under training: derivatives, rotations, checkpoints, the first layer, dynamics."""

import warnings

import labelled
import numpy as np
import pytest
import torch
from ase import units

from halfkick.models.backends.batch_size import is_out_of_memory
from halfkick.models.backends.metatomic import MetatomicModel
from halfkick.models.backends.pet import metatrain
from halfkick.models.base import Role, Structure
from halfkick.models.errors import ModelError
from halfkick.models.train.options import TrainOptions
from halfkick.models.train.worker import dynamics
from halfkick.models.train.worker.batch import Batch, Frame, random_rotations
from halfkick.models.train.worker.dynamics import LangevinCopies, generate_frames
from halfkick.models.train.worker.first_layer import edge_geometries, initialize_first_layer
from halfkick.models.train.worker.predict import errors, predict
from halfkick.models.train.worker.stage import loss_of

HEADS = [metatrain.ENERGY, metatrain.DIRECT, metatrain.STRESS]
BASELINE = labelled.LONE


@pytest.fixture
def model():
    """A network nobody trained, with kinks, so that its forces vary."""
    torch.manual_seed(1)
    made = metatrain.new([1, 8], HEADS, TrainOptions(size="xs").architecture, BASELINE)
    initialize_first_layer(made, to_frames(labelled.frames(20)), seed=0)
    return made.eval()


def to_frames(found):
    return [Frame.of(a, 4.5, BASELINE) for a in found]


def liquid():
    return labelled.frames(1, periodic=True, seed=4)[0]


def symmetric(matrix):
    """PET knows rotations from data only, so that its virial has an antisymmetric part."""
    return 0.5 * (matrix + matrix.T)


def energy_of(model, atoms):
    """The network's energy in float64."""
    model.double()
    batch = Batch([Frame.of(atoms, 4.5, BASELINE, dtype=torch.float64)])
    return predict(model, batch, conservative=False)["energy"].item()


def test_network_forces_and_virial_are_derivatives(model):
    """Against finite differences; direct forces, the twin, are no derivatives."""
    atoms = liquid()
    found = {
        k: v.detach().numpy()
        for k, v in predict(model, Batch(to_frames([atoms])), conservative=True).items()
    }
    h = 1e-4
    for atom, axis in ((0, 0), (2, 1), (5, 2)):
        energies = []
        for side in (h, -h):
            moved = atoms.copy()
            moved.positions[atom, axis] += side
            energies.append(energy_of(model, moved))
        slope = -(energies[0] - energies[1]) / (2 * h)
        assert found["forces"][atom, axis] == pytest.approx(slope, abs=2e-4)
        assert abs(found["direct"][atom, axis] - slope) > 5e-3
    energies = []
    for side in (h, -h):
        strained = atoms.copy()
        strain = np.eye(3)
        strain[0, 1] = strain[1, 0] = side
        strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        energies.append(energy_of(model, strained))
    slope = (energies[0] - energies[1]) / (2 * h) / len(atoms) / 2
    assert symmetric(found["virial"][0])[0, 1] == pytest.approx(slope, abs=2e-4)


def test_rotations_turn_labels_with_positions():
    """A turned batch has the labels of turned atoms; untransposed rotations would be seen."""
    found = labelled.frames(3, periodic=True)
    rotations = random_rotations(3, np.random.default_rng(2))
    assert torch.allclose(
        rotations @ rotations.transpose(1, 2), torch.eye(3).expand(3, 3, 3), atol=1e-5
    )
    batch = Batch(to_frames(found), rotations)
    for k, (atoms, rotation) in enumerate(zip(found, rotations.double().numpy(), strict=True)):
        turned = atoms.copy()
        turned.set_cell(atoms.cell.array @ rotation, scale_atoms=True)
        truth = labelled.labels(turned)
        forces = batch.forces[batch.edges.systems == k].numpy()
        assert forces == pytest.approx(truth["forces"], abs=1e-4)
        stress = truth["stress"][[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
        virial = stress * atoms.get_volume() / len(atoms)
        assert batch.virial[k].numpy() == pytest.approx(virial, abs=1e-4)
        assert (
            np.abs(batch.forces[batch.edges.systems == k].numpy() - atoms.get_forces()).max() > 0.1
        )


def test_rotations_are_even():
    """Half of them are rotoreflections, and no direction is preferred."""
    rotations = random_rotations(4000, np.random.default_rng(0))
    assert torch.linalg.det(rotations).mean().abs() < 0.06
    assert rotations.mean(dim=0).abs().max() < 0.05


def test_network_checkpoint_and_export_keep_the_scale(model, tmp_path):
    """What is written reads the same; the exported model adds the baseline; mtt reads it too."""
    atoms = liquid()
    found = predict(model, Batch(to_frames([atoms]), scale=2.0), conservative=True)
    metatrain.rescale(model, 0.5)
    halved = predict(model, Batch(to_frames([atoms])), conservative=True)
    for key, value in halved.items():
        assert torch.allclose(value, 0.5 * found[key], atol=1e-5), key
    metatrain.rescale(model, 2.0)
    metatrain.write(model, tmp_path / "model.ckpt")
    again = metatrain.read(tmp_path / "model.ckpt")
    assert metatrain.baseline_of(again) == pytest.approx(BASELINE)
    metatrain.export(again, tmp_path / "model.pt")
    served = MetatomicModel(tmp_path / "model.pt")
    structure = Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
    result = served.evaluate([structure], frozenset(Role))[0]
    energy = found["energy"].item() + sum(BASELINE[z] for z in atoms.numbers.tolist())
    assert result[Role.CONSERVATIVE].energy == pytest.approx(energy, abs=1e-3)
    for role, name in ((Role.CONSERVATIVE, "forces"), (Role.DIRECT, "direct")):
        assert result[role].forces == pytest.approx(found[name].detach().numpy(), abs=1e-4)
    for role, name in ((Role.CONSERVATIVE, "virial"), (Role.DIRECT, "direct_virial")):
        virial = -symmetric(found[name][0].detach().numpy()) * len(atoms)
        assert result[role].virial == pytest.approx(virial, abs=2e-4)


def test_network_to_start_from_must_cover_the_data(model, tmp_path):
    with pytest.raises(ModelError, match=r"expected a checkpoint with C, got one with energy"):
        metatrain.check_covers(model, HEADS, [1, 6])
    options = TrainOptions(size="xs").architecture | {"num_neighbors_adaptive": 6}
    adaptive = metatrain.new([1, 8], HEADS, options, BASELINE)
    with pytest.raises(ModelError, match="got one with num_neighbors_adaptive; fine-tune it with"):
        metatrain.check_covers(adaptive, HEADS, [1, 8])
    (tmp_path / "no.ckpt").write_text("nothing")
    with pytest.raises(ModelError, match="expected a metatrain checkpoint"):
        metatrain.read(tmp_path / "no.ckpt")


def bend(model, lengths):
    """How far the first layer's response to an O-H distance is from a straight line, 0 to 1."""
    layer = model.backend.gnn_layers[0]
    rows = torch.zeros(len(lengths), 4)
    rows[:, 0] = rows[:, 3] = torch.tensor(lengths, dtype=torch.float32)
    d = layer.edge_embedder.out_features
    with torch.no_grad():
        hidden = layer.compress[0]
        inner = layer.edge_embedder(rows) @ hidden.weight[:, :d].T + hidden.bias
        response = layer.compress[1](inner)
    x = np.stack([np.ones(len(lengths)), lengths], axis=1)
    y = response.double().numpy()
    rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return float((rest**2).sum() / ((y - y.mean(axis=0)) ** 2).sum())


def test_first_layer_initialisation_tells_lengths_apart():
    torch.manual_seed(1)
    made = metatrain.new([1, 8], HEADS, TrainOptions(size="xs").architecture, BASELINE)
    lengths = np.linspace(0.8, 1.2, 21)
    before = bend(made, lengths)
    initialize_first_layer(made, to_frames(labelled.frames(20)), seed=0)
    assert before < 0.01
    assert bend(made, lengths) > 3 * before + 0.01


def test_bond_lengths_of_the_data_are_known():
    edges, bonded = edge_geometries(to_frames(labelled.frames(5)))
    assert int(bonded.sum()) == 5 * 4  # both ways; not H-H
    assert edges[bonded][:, 3].max() < 1.3


def test_loss_of_the_gap_pulls_at_direct_forces_only(model):
    model.train()
    results = predict(model, Batch(to_frames([liquid()])), conservative=True, create_graph=False)
    loss_of({"gap": errors(results, Batch(to_frames([liquid()])))["gap"]}, 1.0).backward()
    gradients = {n: p.grad for n, p in model.backend.named_parameters() if "last_layers" in n}
    of_energy = [g for n, g in gradients.items() if ".energy." in n]
    of_direct = [g for n, g in gradients.items() if "conservative_force." in n]
    assert all(g is None or not g.any() for g in of_energy)
    assert any(g is not None and g.any() for g in of_direct)


def test_loss_counts_virials_only_where_there_are_labels():
    """Without a head for stresses there are none, and a virial of zero would be learnt."""
    frames = to_frames(labelled.frames(3))
    for heads, counts in ((HEADS[:2], False), (HEADS, True)):
        made = metatrain.new([1, 8], heads, TrainOptions(size="xs").architecture, BASELINE)
        batch = Batch(frames)
        found = errors(predict(made.train(), batch, conservative=True), batch)
        assert ("virial" in found) == ("direct_virial" in found) == counts


def test_loss_counts_virials_of_frames_that_have_one(model):
    """Beside molecules without a stress; none of a molecule, nor of one whose cell is no crystal's.

    A virial counts as much in any batch; a batch of none has none.
    """
    slab = labelled.frames(1, periodic=True, seed=3)[0]
    slab.pbc = (True, True, False)
    several = [liquid(), *labelled.frames(2), slab]
    batches = [Batch(to_frames(found)) for found in ([liquid()], several, several[1:])]
    alone, together, none = (
        errors(predict(model.train(), batch, conservative=True), batch) for batch in batches
    )
    for name in ("virial", "direct_virial"):
        assert torch.allclose(together[name][0], alone[name][0], atol=1e-5)
        assert together[name][0].any() and not together[name][1:].any()
        assert loss_of({name: none[name]}, 1.0).item() == 0.0
        ratio = loss_of({name: alone[name]}, 1.0) / loss_of({name: together[name]}, 1.0)
        assert ratio.item() == pytest.approx(len(several), rel=1e-3)


def test_out_of_memory_errors_are_recognised():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**48)
    assert is_out_of_memory(error.value)
    with pytest.raises(RuntimeError) as error:
        torch.eye(2) @ torch.eye(3)
    assert not is_out_of_memory(error.value)


def total_energy(model, run):
    return energy_of(model, run.atoms[0]) * run.scale + run.particles.kinetic_energy


@pytest.mark.parametrize("corrected", [True, False])
def test_training_dynamics_conserves_the_conservative_energy(model, corrected, monkeypatch):
    """Without a thermostat; the twin leaves the correction out."""
    monkeypatch.setattr(dynamics, "FRICTION", 0.0)
    monkeypatch.setattr(dynamics, "INNER_FS", 0.25)
    monkeypatch.setattr(dynamics, "TOO_HOT", 1e9)
    if not corrected:
        monkeypatch.setattr(LangevinCopies, "correct", lambda self, force: (force, 0.0 * force))
    run = LangevinCopies(
        model, labelled.frames(1), 1, scale=3.0, temperature_K=300.0,
        rng=np.random.default_rng(3),
    )  # fmt: skip
    start = total_energy(model, run)
    model.float()
    for _ in range(12):
        run.step()
    drift = abs(total_energy(model, run) - start)
    if corrected:
        assert drift < 0.01
    else:
        assert drift > 0.03


def test_self_generated_frames_have_the_temperature(model):
    """A thermostat alone: free atoms, forces scaled away."""
    run = LangevinCopies(
        model, labelled.frames(4), 200, scale=1e-6, temperature_K=250.0,
        rng=np.random.default_rng(3),
    )  # fmt: skip
    run.particles.velocities *= 2
    for _ in range(3):
        run.thermostat(200.0)
    heat = run.particles.kinetic_energy / (1.5 * len(run.particles.positions))
    assert heat == pytest.approx(250.0 * units.kB, rel=0.1)
    found = generate_frames(model, labelled.frames(4), 7, scale=1e-6, temperature_K=250.0, seed=0)
    assert len(found) == 7
    assert all(np.isfinite(a.positions).all() for a in found)


def test_self_generated_copies_that_are_hot_start_anew(model):
    run = LangevinCopies(
        model, labelled.frames(4), 3, scale=1e-6, temperature_K=250.0,
        rng=np.random.default_rng(3),
    )  # fmt: skip
    run.particles.velocities[run.slices[1]] *= 1e9
    run.particles.velocities[run.slices[2]] = np.nan
    run.step()
    assert run.restarts == 2
    assert all(np.abs(a.positions).max() < 10 for a in run.atoms)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*")
        yield
