"""Training from data to a run, killed and resumed, out of memory, and what its card says."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import ase.io
import labelled
import numpy as np
import pytest
import torch
import typer.main
from commands import halfkick
from simulation import ENVIRONMENT, HALFKICK

from halfkick.driver.cli import app
from halfkick.models.backends.metatomic import MetatomicModel
from halfkick.models.backends.pet import metatrain
from halfkick.models.base import Role, Structure
from halfkick.models.errors import ModelError
from halfkick.models.load import find_checkpoint
from halfkick.models.statistics import rms
from halfkick.models.train import TrainCard, TrainOptions, train
from halfkick.models.train.process import run_worker
from halfkick.models.train.worker.stage import stages_of
from halfkick.models.train.worker.training import Training

EPOCHS = 50
ARGUMENTS = ["--size", "xs", "--epochs", str(EPOCHS), "--batch-size", "10", "--threads", "1",
             "--cutoff", "3", "--temperature", "100"]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, and what a hybrid training left, killed amid its second stage and resumed."""
    path = tmp_path_factory.mktemp("train")
    labelled.write(path / "data.xyz", labelled.frames(50))
    labelled.write(path / "test.xyz", labelled.frames(30, seed=9))
    command = [*HALFKICK, "train", "data.xyz", "--test", "test.xyz", "--work", "work", *ARGUMENTS]
    process = subprocess.Popen(command, cwd=path, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    while not ((path / "work/stage0.pt").exists() and (path / "work/state.pt").exists()):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()  # the process that trains ends by itself
    process.wait()
    done = subprocess.run(command, cwd=path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return path


def test_train_leaves_its_files(folder):
    names = {p.name for p in folder.iterdir()}
    assert names == {
        "data.xyz", "test.xyz", "work",
        "model.pt", "model.ckpt", "model.card.json", "model.card.md", "model.png",
    }  # fmt: skip


def test_train_lessens_the_errors_of_the_card(folder):
    """Conservative forces are better than none; the card says so, as is measured here anew."""
    card = TrainCard.read(folder / "model.card.json")
    frames = ase.io.read(folder / "test.xyz", ":")
    model = MetatomicModel(folder / "model.pt")
    truth = np.concatenate([f.get_forces() for f in frames])
    numbers = np.concatenate([f.numbers for f in frames])
    structures = [Structure(f.numbers, f.positions, f.cell.array, f.pbc) for f in frames]
    results = model.evaluate(structures, frozenset(Role))
    for role in Role:
        wrong = np.concatenate([r[role].forces for r in results]) - truth
        said = card.errors[f"forces_{role}"]
        assert said["all"] == pytest.approx(1e3 * rms(wrong), rel=1e-3)
        assert said["H"] == pytest.approx(1e3 * rms(wrong[numbers == 1]), rel=1e-3)
    assert card.errors["forces_conservative"]["all"] < 0.85e3 * rms(truth)
    assert card.gap["all"]["rmse"] > 0
    assert card.gap["H"]["p999"] > card.gap["H"]["rmse"]


def test_train_card_tells_data_errors_and_command(folder):
    card = TrainCard.read(folder / "model.card.json")
    assert card.command.startswith("halfkick train data.xyz")
    assert sum(card.data["frames"].values()) == 80 and card.data["frames"]["test"] == 30
    assert card.data["atoms"] == {"H": 160, "O": 80}
    assert [s["name"] for s in card.stages] == ["direct", "conservative", "alignment"]
    assert sum(s["epochs"] for s in card.stages) == pytest.approx(EPOCHS, rel=0.1)
    assert all(s["seconds_per_epoch"] > 0 for s in card.stages)
    assert card.versions["metatrain"]
    text = (folder / "model.card.md").read_text()
    for part in ("seed 0", "| conservative |", "99.9th percentile", "s per epoch"):
        assert part in text


def test_train_alignment_lessens_the_gap(folder):
    alignment = TrainCard.read(folder / "model.card.json").stages[-1]
    before, after = alignment["before"], alignment["after"]
    assert after["gap"] < before["gap"]
    assert after["energy"] < before["energy"]
    assert after["forces"] < 1.3 * before["forces"]  # a few steps only: nothing is finished


def test_train_alignment_goes_on_from_the_last_step_before(folder):
    """Counts, momenta and averages are those of the stage before; the stage after that is new."""
    steps = [torch.load(folder / f"work/stage{i}.pt", weights_only=False)["end"] for i in range(3)]
    direct, conservative, alignment = (end["counts"][0] for end in steps)
    epochs = [s["epochs"] for s in TrainCard.read(folder / "model.card.json").stages]
    assert conservative == pytest.approx(direct * epochs[1] / epochs[0], rel=0.1)
    assert alignment - conservative == pytest.approx(direct * epochs[2] / epochs[0], rel=0.1)


def test_train_learning_rate_falls_once(folder):
    _, conservative, alignment = stages_of(TrainOptions())
    assert conservative.rates[0] > conservative.rates[1] == alignment.rates[0] > alignment.rates[1]
    restarted = stages_of(TrainOptions(start=folder / "model.ckpt"))
    assert [s.name for s in restarted] == ["conservative", "alignment"]
    assert restarted[0].rates[0] < conservative.rates[0]
    for stage in (conservative, alignment, *restarted):  # heavy weights at a high rate destroy
        assert stage.weight_ramp(1.0) > stage.weight_ramp(0.0)
        assert stage.weight_ramp(0.5) == pytest.approx(1.0 - stage.learning_rate(0.5) / 5e-3)
    (alone,) = stages_of(TrainOptions(start=folder / "model.ckpt", recipe="alignment"))
    assert alone == replace(restarted[1], share=1.0)


def test_train_alignment_needs_a_model():
    with pytest.raises(ModelError, match="give its checkpoint with --start"):
        TrainOptions(recipe="alignment")


def test_train_starts_from_the_model_that_ships():
    """By its name; a path stays what it is."""
    metatrain.check_covers(
        metatrain.read(find_checkpoint("water")), list(metatrain.TARGETS), [1, 8]
    )
    assert find_checkpoint("water.ckpt") == Path("water.ckpt")
    assert find_checkpoint("models/water") == Path("models/water")


def test_trained_model_serves_both_forces_of_a_run(folder, tmp_path):
    """The trained model serves both forces of an MTS run in i-PI."""
    scenario = Path(__file__).parents[2] / "ipi_inputs/water_nve_mts/input.xml"
    text = scenario.read_text().replace("model: water", f"model: {folder / 'model.pt'}")
    text = text.replace("<simulation", f"<simulation sockets_prefix='{tmp_path}/'")
    (tmp_path / "input.xml").write_text(text)
    atoms = labelled.frames(1, periodic=True)[0]
    atoms.calc = None
    atoms.set_cell([12.0, 12.0, 12.0])
    ase.io.write(tmp_path / "init.xyz", atoms)
    command = [*HALFKICK, "run", "input.xml", "--steps", "2", "--threads", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "summary.json").read_text())["steps"] == 2


def test_train_resumed_gives_the_weights_of_one_uninterrupted(folder, tmp_path):
    """The stage that was killed gives the same weights where nothing kills it."""
    for name in ("plan.json", "batch_size.json", "train.xyz", "validation.xyz"):
        shutil.copy(folder / "work" / name, tmp_path)
    threads = torch.get_num_threads()
    training = Training(tmp_path)
    first, second = (
        torch.load(folder / f"work/stage{i}.pt", weights_only=False)["model"] for i in (0, 1)
    )
    training.model.backend.load_state_dict(first)
    training.run_stage(1, training.stages[1])
    torch.set_num_threads(threads)
    found = training.model.backend.state_dict()
    assert all(torch.equal(found[k], second[k]) for k in second)
    assert not all(torch.equal(first[k], second[k]) for k in second)


def test_train_starts_where_a_checkpoint_is(folder, tmp_path):
    """A further training begins where the checkpoint is, not anew."""
    plan = json.loads((folder / "work/plan.json").read_text())
    errors = {}
    for start in (None, str(folder / "model.ckpt")):
        plan["options"] |= {"start": start, "recipe": "direct", "threads": None}
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        for name in ("batch_size.json", "train.xyz", "validation.xyz"):
            shutil.copy(folder / "work" / name, tmp_path)
        training = Training(tmp_path)
        errors[start] = training.measure(training.stages[0])["direct"]
    fresh, continued = errors.values()
    said = json.loads((folder / "work/history.jsonl").read_text().splitlines()[-1])
    assert continued == pytest.approx(said["errors"]["direct"], rel=0.1)
    assert fresh > 1.1 * continued


def test_train_overwrites_no_other_training(folder):
    options = TrainOptions(size="xs", epochs=EPOCHS, cutoff=3.0, seed=7)
    with pytest.raises(ModelError, match="other seed, temperature_K, data; remove it"):
        train(folder / "data.xyz", folder / "new.pt", options, work=folder / "work")
    with pytest.raises(ModelError, match=r"expected no '.*model.pt', got one"):
        train(folder / "data.xyz", folder / "model.pt", options)


def test_train_halves_the_batch_when_its_worker_is_killed(tmp_path):
    """The kernel kills what takes too much memory; the training goes on with half the frames.

    A direct model of stresses, from labels that have no energy; half of the frames are molecules,
    which have no stress.
    """
    found = [f for pair in zip(labelled.frames(13, periodic=True), labelled.frames(13), strict=True)
             for f in pair]  # fmt: skip
    for atoms in found:
        del atoms.calc.results["energy"]
    data = labelled.write(tmp_path / "data.xyz", found)
    options = TrainOptions(
        recipe="direct", size="xs", epochs=4, batch_size=8, threads=1, cutoff=3.0
    )
    work = tmp_path / "work"
    killer = threading.Thread(target=kill_worker, args=(work,))
    killer.start()
    card = train(data, tmp_path / "model.pt", options, work=work)
    killer.join()
    assert card.notes[-1] == "out of memory with 8 frames per step: going on with 4"
    assert sum(card.data["stresses"].values()) == 13
    assert re.search(r"stress in \d+ of \d+ train, ", card.to_markdown())
    assert card.stages[0]["batch_size"] == 4
    assert not card.gap
    assert set(card.errors) == {"forces_direct", "stress_direct"}
    model = MetatomicModel(tmp_path / "model.pt")
    assert model.capabilities.roles == model.capabilities.stress == {Role.DIRECT}


def kill_worker(work):
    """Kill the first process that trains in ``work`` as soon as it is there."""
    for _ in range(10_000):
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().split(b"\0")
            except OSError:
                continue
            if str(work).encode() in words and b"halfkick.models.train.worker" in words:
                os.kill(int(entry.parent.name), signal.SIGKILL)
                return
        time.sleep(0.01)


def test_train_without_memory_for_one_frame_is_an_error(tmp_path):
    (tmp_path / "batch_size.json").write_text("1")
    from halfkick.models.train.process import halve_batch

    with pytest.raises(ModelError, match="memory for one frame"):
        halve_batch(tmp_path)


def test_train_failures_are_one_line(tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(ModelError, match=r"exit code 1 \(KeyError: .*\); see"):
        run_worker(tmp_path, None)


def test_train_stage_shares_add_up_to_one():
    for recipe in ("hybrid", "conservative", "direct"):
        assert sum(s.share for s in stages_of(TrainOptions(recipe))) == pytest.approx(1.0)


def test_train_command_refuses_too_few_frames(tmp_path):
    path = labelled.write(tmp_path / "data.xyz", labelled.frames(10))
    done = halfkick(tmp_path, "train", str(path))
    assert done.returncode == 2
    assert done.stderr.startswith("halfkick: error: expected at least 20 frames")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "model.train").exists()


def test_train_readme_names_options_that_exist():
    page = (Path(__file__).parents[2] / "models" / "train" / "README.md").read_text()
    named = set(re.findall(r"--[a-z][a-z-]*", page.partition("\n## Measured")[0]))
    assert {"--recipe", "--minutes", "--start"} <= named
    command = typer.main.get_command(app).commands["train"]
    assert not named - {option for parameter in command.params for option in parameter.opts}
