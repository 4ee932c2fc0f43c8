"""Distillation: dynamics that samples what it should, labels never lost, a gap that falls."""

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
from ase import Atoms, units
from pairfit import PairFit, teach
from simulation import ENVIRONMENT, HALFKICK
from toy import Toy, atoms

from halfkick.models.base import ForceResult, ModelError, Role
from halfkick.models.distill import distill
from halfkick.models.distill.dynamics import Dynamics
from halfkick.models.distill.gap import gap_by_species
from halfkick.models.distill.given import take_labels
from halfkick.models.distill.options import DistillOptions
from halfkick.models.distill.record import Record
from halfkick.models.distill.ring import HBAR_EV_FS, RingPolymer, thermal_velocities
from halfkick.models.distill.rounds import Rounds
from halfkick.models.distill.sample import Force, make_walkers
from halfkick.models.distill.select import farthest, pick
from halfkick.models.distill.store import Store, labelled, rounded
from halfkick.models.load import load_model

STIFFNESS = 40.0  # eV/Å², about that of an O-H bond, whose motion is quantum
MASS = 1.0
TEMPERATURE = 300.0
OPTIONS = DistillOptions(
    temperatures_K=(300.0,), frames=6, rounds=2, trajectories=2, interval_fs=8.0, strain=0.02
)


def spring(stiffness):
    def evaluate(positions):
        return [ForceResult(0.0, -stiffness * x, np.zeros((3, 3))) for x in positions]

    return evaluate


def spread(beads, stride=1, fast=STIFFNESS, relaxation_fs=20.0, steps=1200):
    """Mean square displacement of many oscillators, Å², from Langevin dynamics by impulses."""
    rng = np.random.default_rng(1)
    masses = np.full(1000, MASS)
    x = rng.normal(scale=0.05, size=(beads, 1000, 3))
    ring = RingPolymer(masses, x, thermal_velocities(masses, beads, TEMPERATURE, rng), TEMPERATURE)
    dynamics = Dynamics(
        ring, spring(fast), spring(STIFFNESS) if stride > 1 else None,
        timestep_fs=0.25, stride=stride, relaxation_fs=relaxation_fs,
    )  # fmt: skip
    squares = []
    for step in range(steps // stride):
        dynamics.step(rng)
        if step > steps // stride // 4:
            squares.append(np.mean(ring.positions**2))
    return float(np.mean(squares))


CLASSICAL = units.kB * TEMPERATURE / STIFFNESS
FREQUENCY = np.sqrt(STIFFNESS / MASS) * units.fs  # 1/fs
QUANTUM = (
    HBAR_EV_FS * FREQUENCY / (2 * STIFFNESS)
    / np.tanh(0.5 * HBAR_EV_FS * FREQUENCY / (units.kB * TEMPERATURE))
)  # fmt: skip


def test_one_bead_is_classical():
    assert spread(1) == pytest.approx(CLASSICAL, rel=0.04)
    assert QUANTUM > 3 * CLASSICAL


def test_beads_are_quantum():
    """P beads of an oscillator have a known spread, which grows to the quantum one."""
    beads = 8
    modes = 2 * beads * units.kB * TEMPERATURE / HBAR_EV_FS * np.sin(np.pi * np.arange(8) / 8)
    expected = np.mean(units.kB * TEMPERATURE * beads / (MASS * modes**2 / units.fs**2 + STIFFNESS))
    assert 2 * CLASSICAL < expected < QUANTUM
    assert spread(beads) == pytest.approx(expected, rel=0.04)


def test_the_correction_makes_up_for_a_wrong_fast_force():
    """A fast force of two thirds gives the spread of the slow one; alone it gives its own."""
    assert spread(1, stride=2, fast=STIFFNESS / 1.5) == pytest.approx(CLASSICAL, rel=0.06)
    assert spread(1, fast=STIFFNESS / 1.5) == pytest.approx(1.5 * CLASSICAL, rel=0.06)


def energy_drift(slow):
    """Change of the toy's total energy in 0.2 ps under its direct forces, eV."""
    start = atoms()
    start.info["walker"] = 0
    model = Toy()
    fast, exact = (Force(model, role) for role in (Role.DIRECT, Role.CONSERVATIVE))
    rng = np.random.default_rng(0)
    masses = start.get_masses()
    velocities = thermal_velocities(masses, 1, TEMPERATURE, rng)
    ring = RingPolymer(masses, start.positions[None], velocities, TEMPERATURE)
    dynamics = Dynamics(
        ring,
        lambda x: fast(start, x),
        (lambda x: exact(start, x)) if slow else None,
        timestep_fs=0.5,
        stride=4,
    )
    energies = []
    for _ in range(100):
        (result,) = exact(start, ring.positions)
        energies.append(result.energy + 1.5 * len(start) * units.kB * ring.temperature_K)
        dynamics.step(rng)
    return abs(energies[-1] - energies[0])


def test_energy_is_conserved_with_the_correction_and_not_without():
    assert energy_drift(slow=True) < 0.02
    assert energy_drift(slow=False) > 0.2


def frame(shift=0.0):
    start = atoms()
    start.positions = rounded(start.positions + shift * np.eye(27, 3))
    start.info["walker"] = 0
    (result,) = Force(Toy(), Role.CONSERVATIVE)(start, start.positions[None])
    return labelled(start, result, stress=True)


def test_the_store_keeps_each_structure_once(tmp_path):
    store = Store(tmp_path / "labels.xyz")
    store.add([frame(), frame(0.1), frame()])
    store.add([frame(0.1)])
    again = Store(tmp_path / "labels.xyz")
    assert len(store.frames) == len(again.frames) == 2
    assert frame() in again and frame(1e-6) not in again
    found = again.find(frame(0.1))
    np.testing.assert_array_equal(found.get_forces(), frame(0.1).get_forces())
    assert found.get_potential_energy() == pytest.approx(frame(0.1).get_potential_energy())


@pytest.mark.parametrize("cut", [1, 70, 2000])
def test_a_frame_that_was_being_written_is_cut_off(tmp_path, caplog, cut):
    path = tmp_path / "labels.xyz"
    Store(path).add([frame(), frame(0.1)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    store = Store(path)
    assert len(store.frames) == 1 and "ends within a frame" in caplog.text
    store.add([frame(0.1)])
    assert path.read_bytes() == whole


def test_far_points_are_chosen_and_no_point_twice():
    points = np.array([[0.0], [0.1], [5.0], [5.1], [9.0]])
    assert farthest(points, points[:1], 2).tolist() == [4, 2]
    assert sorted(farthest(points, points[:0], 9)) == [0, 1, 2, 3, 4]


def test_what_the_student_is_worst_at_is_picked():
    frames = [frame(0.01 * i) for i in range(8)]
    for i, f in enumerate(frames):
        f.arrays["gap"] = np.full((27, 3), 0.01 * (i == 5))
    picked = pick(frames, [frames[0]], 2)
    assert len(picked) == 2 and any(p is frames[5] for p in picked)
    assert any(p is frames[7] for p in picked)  # the farthest from the one that is known


def test_the_gap_by_species():
    gap = gap_by_species([np.array([1, 8])], [np.array([[3e-3, 0, 0], [0, 0, 4e-3]])])
    assert gap["H"]["rmse"] == pytest.approx(3 / np.sqrt(3), abs=0.01)
    assert gap["all"]["rmse"] == pytest.approx(5 / np.sqrt(6), abs=0.01)
    assert gap["O"]["p999"] == pytest.approx(4, abs=0.02)


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


def rounds(folder, options=OPTIONS, teacher=None, surrogate=None, learn=teach):
    return Rounds(
        Force(teacher or Toy(), Role.CONSERVATIVE),
        make_walkers([atoms()], options),
        folder,
        Record(folder, options.lasting()),
        options,
        learn,
        PairFit,
        surrogate and Force(surrogate, Role.DIRECT),
    )


@pytest.mark.parametrize("beads", [1, 2])
@pytest.mark.parametrize("surrogate", [None, Toy()], ids=["teacher first", "surrogate first"])
def test_the_gap_is_measured_on_fresh_frames(tmp_path, surrogate, beads):
    options = replace(OPTIONS, beads=beads, rounds=1)
    run = rounds(tmp_path, options, surrogate=surrogate)
    assert run.run() == 0
    done = run._record.rounds
    taught = ase.io.read(tmp_path / "train-0.xyz", ":")
    assert len(taught) == done[0]["taught"] == 6
    fresh = [a for a in run.labels.frames if a.info["round"] == 1]
    assert len(fresh) == done[1]["sampled"] >= 6
    student, source = Force(PairFit(run.student(0)), Role.DIRECT), Force(Toy(), Role.CONSERVATIVE)
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
def test_killed_anywhere_it_goes_on_to_the_same_end(tmp_path, whole, life):
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


def test_killed_in_training_it_trains_again(tmp_path):
    def die(*_):
        raise Killed

    with pytest.raises(Killed):
        rounds(tmp_path, learn=die).run()
    labels = (tmp_path / "labels.xyz").read_text()
    rounds(tmp_path, replace(OPTIONS, rounds=1), teacher=Mortal(10**6)).run()
    assert (tmp_path / "labels.xyz").read_text().startswith(labels)


def test_it_stops_when_the_gap_is_met_or_falls_no_more(tmp_path, caplog):
    caplog.set_level("INFO", "halfkick")
    options = replace(OPTIONS, rounds=5)
    rounds(tmp_path / "a", replace(options, gap=1e4)).run()
    assert "the gap meets" in caplog.text and not (tmp_path / "a/student-1.pt").exists()
    rounds(tmp_path / "b", options).run()  # a pair force can only get so near
    assert "falls no more" in caplog.text and not (tmp_path / "b/student-4.pt").exists()


def test_another_command_does_not_go_on(tmp_path):
    Record(tmp_path, OPTIONS.lasting()).save()
    Record(tmp_path, replace(OPTIONS, rounds=9, gap=3.0).lasting())
    with pytest.raises(ModelError, match="expected stride 4"):
        Record(tmp_path, replace(OPTIONS, stride=8).lasting())


def test_labels_that_exist_are_taken_if_they_are_the_teachers(tmp_path):
    source, store = Force(Toy(), Role.CONSERVATIVE), Store(tmp_path / "labels.xyz")
    own = [frame(0.02 * i) for i in range(6)]
    for a in own:
        a.calc.results["energy"] += 7.0  # another zero
    ase.io.write(tmp_path / "own.xyz", own)
    take_labels(tmp_path / "own.xyz", store, source)
    assert store.frames[3].get_potential_energy() == pytest.approx(
        frame(0.06).get_potential_energy()
    )
    run = rounds(tmp_path, replace(OPTIONS, rounds=1))
    run.run()
    assert run._record.rounds[0]["sampled"] == 0  # they do for the first training

    own[0].calc.results["forces"] = 1.1 * own[0].get_forces()
    ase.io.write(tmp_path / "other.xyz", own)
    with pytest.raises(ModelError, match="expected labels of the teacher"):
        take_labels(tmp_path / "other.xyz", Store(tmp_path / "new.xyz"), source)
    ase.io.write(tmp_path / "bare.xyz", Atoms("H"))
    with pytest.raises(ModelError, match="frame 0 has none"):
        take_labels(tmp_path / "bare.xyz", Store(tmp_path / "new.xyz"), source)


def test_options_that_make_no_sense():
    for wrong in ({"stride": 0}, {"temperatures_K": ()}, {"strain": 0.5}, {"frames": -1}):
        with pytest.raises(ModelError, match="expected"):
            replace(OPTIONS, **wrong)


def test_cells_are_strained_and_molecules_are_not():
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
from test_distill import rounds
from toy import Toy
rounds(Path(sys.argv[1]), teacher=Toy(die_after=int(sys.argv[2]))).run()
"""


def test_after_a_real_kill_nothing_is_computed_twice(tmp_path, whole):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), "150"]
    killed = subprocess.run(command, env=ENVIRONMENT, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    begun = (tmp_path / "labels.xyz").read_bytes()
    assert begun
    rounds(tmp_path).run()
    assert (tmp_path / "labels.xyz").read_bytes().startswith(begun)
    assert contents(tmp_path) == contents(whole)


def test_from_the_command_line_to_a_student(tmp_path):
    """A real training of a small network, its card, and the student as i-PI's driver loads it."""
    pytest.importorskip("metatrain")
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
    (own,) = Force(student, Role.DIRECT)(fresh, fresh.positions[None])
    np.testing.assert_allclose(fresh.arrays["gap"], fresh.get_forces() - own.forces, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"structures": [Path("nothing.xyz")]}, "expected structures that ASE reads in 'nothing"),
        ({"structures": [Path("gold.xyz")]}, r"expected species that model 'toy' .* got Au"),
        ({"structures": []}, "expected at least one structure"),
        ({"out": Path("a.xyz")}, "expected a model file NAME.pt"),
        ({"teacher": "nobody"}, "expected a model that ships"),
        ({"options": OPTIONS}, "expected at least 20 frames"),
        ({"labels": Path("gold.xyz")}, "expected forces under the key 'forces' in 'gold.xyz'"),
    ],
)
def test_what_cannot_be_is_said_at_once(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    ase.io.write("start.xyz", atoms())
    ase.io.write("gold.xyz", Atoms("Au"))
    right = {
        "teacher": "python:toy:toy",
        "structures": [Path("start.xyz")],
        "out": Path("student.pt"),
        "options": DistillOptions(),
    }
    with pytest.raises(ModelError, match=message):
        distill(**(right | given))
    assert not list(tmp_path.glob("*.pt"))
