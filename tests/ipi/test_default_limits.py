"""Limits that hold unless they are switched off: what they stop, and what they let pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from scipy import constants
from scipy.spatial.transform import Rotation
from simulation import HALFKICK, Case, start, write
from student import Student
from toy import Toy, atoms

from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.server.force_field import ForceField
from halfkick.driver.server.guards.displacement import DisplacementMonitor
from halfkick.driver.server.limits import usual_max_move
from halfkick.models.base import ForceModel, Structure
from halfkick.models.card import read_expected_gap

RNG = np.random.default_rng(8)
START = atoms()


def structure(positions: np.ndarray, slot: object = 0, **changes: object) -> Structure:
    cell = START.cell.array
    return replace(Structure(START.numbers, positions, cell, START.pbc, slot), **changes)


def displacements(remember: int, *structures: Structure) -> list[float]:
    """The largest displacement of an atom in each of the structures, one after the other."""
    monitor = DisplacementMonitor(remember)
    return [monitor.update([s], 1.0)[0] for s in structures]


def walk(start: np.ndarray, steps: int) -> list[np.ndarray]:
    """Positions of a sane run."""
    return [start + 0.05 * i * np.ones(3) for i in range(steps)]


def test_displacement_tells_a_jump_from_a_sane_run():
    steps = walk(START.positions, 6)
    assert max(displacements(1, *map(structure, steps))) < 0.2
    steps[3] = steps[3].copy()
    steps[3][7, 1] += 1.2
    assert displacements(1, *map(structure, steps))[3] > 1.0


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False), (False, False, False)])
def test_displacement_of_wrapped_atoms_is_none(pbc):
    steps = walk(START.positions, 6)
    for i, step in enumerate(steps):
        step[i] += START.cell.array[i % 3] - START.cell.array[(i + 1) % 3]
    assert max(displacements(1, *[structure(p, pbc=np.array(pbc)) for p in steps])) < 0.2


def test_displacement_follows_beads_and_systems_that_change_places():
    """Three systems of two wide ring polymers, contracted now and then, on any connection."""
    beads = [START.positions + RNG.normal(scale=1.0, size=(27, 3)) for _ in range(6)]
    contracted = [(beads[i] + beads[i + 1]) / 2 for i in (0, 2, 4)]
    asked = []
    for step in range(5):
        for number in RNG.permutation(6):
            asked.append(structure(beads[number] + 0.05 * step, slot=int(RNG.integers(2))))
        asked += [structure(p + 0.05 * step, slot=0) for p in contracted]
    assert max(displacements(3 * 6, *asked)) < 0.2
    assert max(displacements(6, *asked)) > 1.0  # remembering less would not do
    jump = structure(beads[2] + RNG.normal(scale=1.0, size=(27, 3)))
    assert displacements(3 * 6, *asked, jump)[-1] > 1.0


def test_displacement_of_turned_and_mirrored_copies_is_none():
    steps = [structure(p) for p in walk(START.positions, 8)]
    turns = [Rotation.random(random_state=RNG).as_matrix() * (-1) ** i for i in range(8)]
    turned = [
        replace(s, positions=s.positions @ t, cell=s.cell @ t)
        for s, t in zip(steps, turns, strict=True)
    ]
    assert max(displacements(1, *turned)) < 0.2
    only_turned = [replace(s, cell=START.cell.array) for s in turned]
    assert max(displacements(1, *only_turned)) > 1.0  # its cell tells that it is turned
    turned[5].positions[7] += 0.7
    assert displacements(1, *turned)[5] > 1.0


def test_displacement_is_forgotten_when_ipi_begins_anew():
    monitor = DisplacementMonitor(1)
    monitor.update([structure(START.positions)], 1.0)
    monitor.reset()
    assert monitor.update([structure(START.positions + 2.0)], 1.0) == [0.0]


def field(folder: Path, model: ForceModel, usual: float, **limits: str) -> ForceField:
    ase.io.write(folder / "init.xyz", START)
    parameters = {"model": "m", "role": "direct", "template": str(folder / "init.xyz")}
    return ForceField(parameters | limits, lambda _: model, False, usual)


def test_default_limits_follow_dynamics_and_card(tmp_path):
    plain, card = Toy(), Student(card=20.0, tail=50.0)
    assert field(tmp_path, plain, 1.0).limits.max_move == 1.0
    assert field(tmp_path, plain, np.inf).limits.max_move == np.inf
    assert field(tmp_path, plain, np.inf, max_move="2").limits.max_move == 2.0
    assert field(tmp_path, plain, 1.0, max_move="off").limits.max_move == np.inf
    assert field(tmp_path, plain, 1.0).limits.max_gap == np.inf
    assert field(tmp_path, card, 1.0).limits.max_gap == pytest.approx(0.5)
    assert field(tmp_path, card, 1.0, max_gap="off").limits.max_gap == np.inf
    assert field(tmp_path, Student(card=20.0), 1.0).limits.max_gap == np.inf
    other = Student(card=20.0, tail=50.0, role="conservative")
    assert field(tmp_path, other, 1.0).limits.max_gap == np.inf


def test_card_that_ships_gives_the_limit_of_the_gap():
    import halfkick.models.water as water

    card = read_expected_gap(Path(water.__file__).with_name("water.pt"))
    gap = json.loads(Path(water.__file__).with_name("water.card.json").read_text())["gap"]
    assert card.p999 == pytest.approx(1e-3 * max(gap["H"]["p999"], gap["O"]["p999"]))
    assert 0.01 < card.rmse < card.p999


@pytest.mark.parametrize(
    ("mode", "expected"), [("dynamics", True), ("replay", False), ("minimize", False)]
)
def test_displacement_limit_holds_in_dynamics_only(tmp_path, mode, expected):
    path = write(tmp_path, Case())
    path.write_text(path.read_text().replace("motion mode='dynamics'", f"motion mode='{mode}'"))
    assert (usual_max_move(IpiInput.read(path)) == 1.0) is expected


LIGHT = "<masses mode='manual'> [1.0] </masses> <velocities mode='thermal' units='kelvin'> 300 "


def test_displacement_limit_of_light_particles_follows_from_their_thermal_motion(tmp_path):
    """Electrons go 0.67 Å in 1 fs at 300 K, and with 8 beads, each of 8 times that energy, 1.9."""
    path = write(tmp_path, Case(beads=8, strides=(1, 2)))
    text = path.read_text().replace("<velocities mode='thermal' units='kelvin'> 300 ", LIGHT)
    path.write_text(text)
    metres = np.sqrt(8 * constants.k * 300 / constants.m_e) * 1e-15
    assert usual_max_move(IpiInput.read(path)) == pytest.approx(10 * metres * 1e10, rel=1e-4)
    path.write_text(text.replace("<temperature units='kelvin'> 300 </temperature>", ""))
    assert usual_max_move(IpiInput.read(path)) == np.inf


def run(folder: Path, case: Case, edit: tuple[str, str] = ("", "")) -> tuple[int, str, str]:
    """Exit code, what ``halfkick run`` said last and the driver's log."""
    path = write(folder, case)
    path.write_text(path.read_text().replace(*edit))
    code = start([*HALFKICK, "run", "input.xml"], folder, "run.log").wait(120)
    said = (folder / "run.log").read_text().rstrip().split("\n")[-1]
    return code, said, (folder / "driver.log").read_text()


STOPS = {
    "max_gap": (Case(steps=30, model="python:student:student?card=1&amp;tail=1"), ("", "")),
    "max_move": (
        Case(steps=300, strides=(1, 2), model="python:toy:toy, max_force: off"),
        ("'femtosecond'> 1.0 <", "'femtosecond'> 150 <"),
    ),
}


@pytest.mark.parametrize("name", STOPS)
def test_default_limits_stop_a_run(tmp_path, name):
    code, said, log = run(tmp_path, *STOPS[name])
    assert code == 1
    assert f"halfkick: stopped: expected {name} " in log
    assert log.count(f"warning: expected {name} ") >= 2
    assert said.startswith("halfkick: error: after step "), said
    assert f"expected {name} " in said and f"set {name} in <parameters>" in said
    assert (tmp_path / "RESTART").exists()
    assert len(ase.io.read(tmp_path / "guard.xyz")) == 27
    assert not [p for p in tmp_path.iterdir() if p.is_socket()]


def test_default_limits_let_a_good_run_pass(tmp_path):
    code, said, log = run(tmp_path, Case(model="python:student:student?card=20&amp;tail=100"))
    assert code == 0, said
    assert "warning" not in log
