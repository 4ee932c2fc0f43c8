"""Distillation: a gap that falls, and the same end wherever it was killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from distilling import OPTIONS, rounds
from pairfit import PairFit, teach
from simulation import ENVIRONMENT, HALFKICK
from toy import Toy, atoms

from halfkick.models.base import Role
from halfkick.models.distill import distill
from halfkick.models.distill.options import DistillOptions
from halfkick.models.distill.record import Record
from halfkick.models.distill.sample import ServedForce, make_walkers
from halfkick.models.distill.store import Store
from halfkick.models.errors import DataError, ModelError
from halfkick.models.load import load_model


class Killed(Exception):
    pass


class Mortal(Toy):
    """Dies after some evaluations; counts them by structure."""

    def __init__(self, life=10**9):
        super().__init__()
        self.life = life

    def evaluate(self, structures, roles):
        self.life -= 1
        if self.life < 0:
            raise Killed
        return super().evaluate(structures, roles)


@pytest.mark.parametrize("beads", [1, 2])
@pytest.mark.parametrize("surrogate", [None, Toy()], ids=["teacher first", "surrogate first"])
def test_distill_measures_the_gap_on_fresh_frames(tmp_path, surrogate, beads):
    options = replace(OPTIONS, beads=beads, rounds=1)
    run = rounds(tmp_path, options, surrogate=surrogate)
    assert run.run() == 0
    done = run._record.rounds
    taught = ase.io.read(tmp_path / "train-0.xyz", ":")
    assert len(taught) == done[0]["taught"] == 6
    fresh = [a for a in run.labels.frames if a.info["round"] == 1]
    assert len(fresh) == done[1]["sampled"] >= 6
    student, source = (
        ServedForce(PairFit(run.student(0)), Role.DIRECT),
        ServedForce(Toy(), Role.CONSERVATIVE),
    )
    for a in fresh[:3]:  # labels are the teacher's, gaps are teacher minus student
        (exact,), (own,) = source(a, a.positions[None]), student(a, a.positions[None])
        np.testing.assert_allclose(a.get_forces(), exact.forces, atol=1e-7)
        np.testing.assert_allclose(a.arrays["gap"], exact.forces - own.forces, atol=1e-7)
        np.testing.assert_allclose(a.get_stress(voigt=False), -exact.virial / a.get_volume())
    gap = np.concatenate([a.arrays["gap"] for a in fresh])
    assert done[1]["gap"]["all"]["rmse"] == pytest.approx(1e3 * np.sqrt(np.mean(gap**2)), abs=0.01)


def contents(folder):
    return {p.name: p.read_text() for p in folder.glob("*") if p.name != "rounds.json"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A distillation that nobody has killed."""
    folder = tmp_path_factory.mktemp("whole")
    rounds(folder).run()
    return folder


@pytest.mark.parametrize("life", [3, 130, 200, 260])
def test_distill_killed_anywhere_goes_on_to_the_same_end(tmp_path, whole, life):
    broken = tmp_path / "broken"
    with pytest.raises(Killed):
        rounds(broken, teacher=Mortal(life)).run()
    before = Store(broken / "labels.xyz").frames
    rounds(broken).run()
    assert contents(broken) == contents(whole)
    after = Store(broken / "labels.xyz").frames
    assert [a.positions.tolist() for a in after[: len(before)]] == [
        a.positions.tolist() for a in before
    ]
    finished = Mortal(0)  # nothing is left that needs the teacher
    rounds(broken, teacher=finished).run()


def test_distill_killed_in_training_goes_on_with_it(tmp_path):
    """The training resumes only where it is asked for as long as before."""
    asked = []

    def learn(data, out, minutes, start, work):
        asked.append(minutes)
        if len(asked) == 1:
            raise Killed
        teach(data, out, minutes, start, work)

    with pytest.raises(Killed):
        rounds(tmp_path, replace(OPTIONS, rounds=1), learn=learn).run()
    labels = (tmp_path / "labels.xyz").read_text()
    more = replace(OPTIONS, rounds=1, minutes=100.0)
    rounds(tmp_path, more, teacher=Mortal(10**6), learn=learn).run()
    assert (tmp_path / "labels.xyz").read_text().startswith(labels)
    assert asked == [asked[0]] * 2


def test_distill_stops_when_the_gap_is_met_or_falls_no_more(tmp_path, caplog):
    caplog.set_level("INFO", "halfkick")
    options = replace(OPTIONS, rounds=5)
    rounds(tmp_path / "a", replace(options, gap=1e4)).run()
    assert "the gap meets" in caplog.text and not (tmp_path / "a/student-1.pt").exists()
    rounds(tmp_path / "b", options).run()  # a pair force can only get so near
    assert "falls no more" in caplog.text and not (tmp_path / "b/student-4.pt").exists()


def test_distill_refuses_to_go_on_with_other_options(tmp_path):
    Record(tmp_path, OPTIONS.lasting()).save()
    Record(tmp_path, replace(OPTIONS, rounds=9, gap=3.0).lasting())
    with pytest.raises(ModelError, match="expected stride 4"):
        Record(tmp_path, replace(OPTIONS, stride=8).lasting())


def test_distill_options_are_checked():
    for wrong in ({"stride": 0}, {"temperatures_K": ()}, {"strain": 0.5}, {"frames": -1}):
        with pytest.raises(ModelError, match="expected"):
            replace(OPTIONS, **wrong)


def test_distill_walkers_strain_cells_and_not_molecules():
    walkers = make_walkers([atoms()], OPTIONS)
    volumes = {round(w.start.get_volume(), 6) for w in walkers}
    assert len(volumes) == 2 and all(abs(v / atoms().get_volume() - 1) < 0.07 for v in volumes)
    alone = atoms()
    alone.pbc = False
    for walker in make_walkers([alone], OPTIONS):
        np.testing.assert_allclose(walker.start.cell, alone.cell, atol=1e-8)
    assert json.loads(json.dumps(OPTIONS.lasting()))["seed"] == 0


SCRIPT = """
import sys
from pathlib import Path
from distilling import rounds
from toy import Toy
rounds(Path(sys.argv[1]), teacher=Toy(die_after=int(sys.argv[2]))).run()
"""


def test_distill_computes_nothing_twice_after_a_kill(tmp_path, whole):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), "150"]
    killed = subprocess.run(command, env=ENVIRONMENT, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    begun = (tmp_path / "labels.xyz").read_bytes()
    assert begun
    rounds(tmp_path).run()
    assert (tmp_path / "labels.xyz").read_bytes().startswith(begun)
    assert contents(tmp_path) == contents(whole)


@pytest.mark.extra("metatrain")
def test_distill_command_makes_a_student_that_loads(tmp_path):
    """A real training of a small network, its card, and the student as i-PI's driver loads it."""
    ase.io.write(tmp_path / "start.xyz", atoms())
    command = [*HALFKICK, "distill", "python:toy:toy", "start.xyz", "--size", "xs", "--stride", "2"]
    command += ["--frames", "20", "--rounds", "1", "--epochs", "1", "--temperature", "300"]
    command += ["--interval", "2", "--threads", "1"]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    assert "# student.pt: a student of python:toy:toy" in done.stdout
    card = json.loads((tmp_path / "student.card.json").read_text())
    assert card["labels"]["taught"] == 20 and card["temperatures_K"] == [300.0]
    student = load_model(str(tmp_path / "student.pt"))
    assert student.capabilities.roles == {Role.DIRECT}
    assert student.expected_gap.rmse == pytest.approx(1e-3 * card["gap"]["all"]["rmse"])
    assert (student.expected_gap.role, student.expected_gap.reference) == (
        Role.DIRECT,
        "python:toy:toy",
    )
    frames = ase.io.read(tmp_path / "student.distill" / "labels.xyz", ":")
    fresh = frames[-1]
    fresh.info["walker"] = 0
    (own,) = ServedForce(student, Role.DIRECT)(fresh, fresh.positions[None])
    gap = fresh.get_forces() - own.forces  # float32: forces of 5 eV/Å are told to 1e-5 of them
    np.testing.assert_allclose(fresh.arrays["gap"], gap, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            {"structures": [Path("nothing.xyz")]},
            DataError,
            "expected structures that ASE reads in 'nothing",
        ),
        ({"structures": [Path("gold.xyz")]}, ModelError, r"species that model 'toy' .* got Au"),
        ({"structures": []}, DataError, "expected at least one structure"),
        ({"out": Path("a.xyz")}, ModelError, "expected a model file NAME.pt"),
        ({"teacher": "nobody"}, ModelError, "expected a model that ships"),
        ({"options": OPTIONS}, ModelError, "expected at least 20 frames"),
        ({"labels": Path("gold.xyz")}, DataError, "forces under the key 'forces' in 'gold.xyz'"),
    ],
)
def test_distill_command_refuses_what_cannot_be_at_once(
    tmp_path, monkeypatch, given, error, message
):
    monkeypatch.chdir(tmp_path)
    ase.io.write("start.xyz", atoms())
    ase.io.write("gold.xyz", Atoms("Au"))
    right = {
        "teacher": "python:toy:toy",
        "structures": [Path("start.xyz")],
        "out": Path("student.pt"),
        "options": DistillOptions(),
    }
    with pytest.raises(error, match=message):
        distill(**(right | given))
    assert not list(tmp_path.glob("*.pt"))
