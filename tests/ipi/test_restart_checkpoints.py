"""The state to go on from after i-PI was killed: the last one that all outputs reach."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from simulation import Case, write

from halfkick.driver.run.job import prepare

HEADER = "# column   1     --> step : the step\n"


def state(xml: Path, name: str, step: int) -> None:
    root = f"<step> {step} </step> <total_steps>"
    xml.with_name(name).write_text(xml.read_text().replace("<total_steps>", root))


def frames(*steps: int) -> str:
    return "".join(f"1\nStep: {step} Bead: 0\nH 0 0 0\n" for step in steps)


@pytest.fixture
def xml(tmp_path):
    """Two checkpoints, at 14 and 20; a row for each step, a frame for each fifth."""
    path = write(tmp_path, Case(steps=50, beads=2))
    text = path.read_text().replace("<trajectory stride='50'", "<trajectory stride='5'")
    two = "<checkpoint stride='10'/> <checkpoint filename='other' stride='7'/>"
    path.write_text(text.replace("<checkpoint stride='100000'/>", two))
    state(path, "simulation.restart", 20)
    state(path, "simulation.other", 14)
    rows = "".join(f" {step:.16e}\n" for step in range(21))
    (tmp_path / "simulation.out").write_text(HEADER + rows)
    for bead in range(2):
        (tmp_path / f"simulation.pos_{bead}.extxyz").write_text(frames(0, 5, 10, 15, 20))
    return path


def chosen(xml: Path) -> int:
    return prepare(xml, None, restart=True).step


def test_restart_uses_furthest_checkpoint_all_outputs_reach(xml):
    assert chosen(xml) == 20


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("simulation.pos_1.extxyz", frames(0, 5, 10, 15) + frames(20)[:-8]),
        ("simulation.out", HEADER + "".join(f" {step}\n" for step in range(20)) + " 2"),
    ],
)
def test_restart_uses_an_earlier_checkpoint_if_an_output_was_cut(xml, name, content):
    (xml.parent / name).write_text(content)
    assert chosen(xml) == 14
    assert (xml.parent / "simulation.out").read_text().count("\n") == 1 + 15
    assert (xml.parent / "simulation.pos_0.extxyz").read_text() == frames(0, 5, 10)


def test_restart_says_what_output_is_lost(xml, caplog):
    (xml.parent / "simulation.pos_1.extxyz").write_text(frames(0, 5, 10, 15))
    (xml.parent / "simulation.other").unlink()
    with caplog.at_level(logging.WARNING):
        assert chosen(xml) == 20
    assert "before it wrote step 20 to simulation.pos_1.extxyz" in caplog.text


def test_restart_file_is_preferred_unless_far_back(xml):
    state(xml, "RESTART", 22)
    assert chosen(xml) == 22
    state(xml, "RESTART", 3)
    (xml.parent / "simulation.out").write_text(HEADER)
    assert chosen(xml) == 20  # not far back for the sake of a row


def test_restart_names_outputs_whose_steps_it_cannot_tell(xml, caplog):
    """An output that is not known, and one that is but does not tell; not what is older."""
    later = (xml.parent / "simulation.restart").stat().st_mtime + 5
    for name, age in (("simulation.KMC", 0), ("simulation.older", -100)):
        (xml.parent / name).write_text("1 2 3\n")
        os.utime(xml.parent / name, (later + age, later + age))
    (xml.parent / "simulation.out").write_text(" 20.0\n")
    with caplog.at_level(logging.WARNING):
        assert chosen(xml) == 20
    text = "cannot tell the steps in simulation.out, simulation.KMC: what follows step 20 stays"
    assert text in caplog.text
