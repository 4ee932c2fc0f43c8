"""Replica exchange by a template, with multiple time stepping: i-PI's own numbers, also after i-PI
was killed and the run restarted."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from running import LONG, children, finish, halfkick, run, steps_written, summary
from simulation import Case, simulate, write

from halfkick.driver.ipi.properties import read_columns
from halfkick.driver.ipi.records import Clock, read_records
from halfkick.driver.ipi.trajectories import read_frames

pytestmark = pytest.mark.usefixtures("nothing_outlives_the_test")

OUTPUTS = """<trajectory stride='2' filename='v' format='bin'> velocities </trajectory>
  <properties stride='3' filename='e'> [ time{femtosecond}, potential ] </properties>
  <checkpoint stride='5' filename='state'/> </output>"""


def exchanging(count: int):
    """An edit that makes so many replicas of the system, from 300 K on."""

    def edit(xml: str) -> str:
        system = re.search(r"<system>.*</system>", xml, re.DOTALL)
        template = system[0].replace("<system>", "<system prefix='rNAME'>")
        template = template.replace("'kelvin'> 300 <", "'kelvin'> KELVIN <")
        motion = "<motion mode='dynamics'>"
        template = template.replace(motion, f"{motion} <fixcom> False </fixcom>")
        instances = "".join(
            f"<instance> [ {index}, {300 + 20 * index} ] </instance>" for index in range(count)
        )
        made = (
            f"<system_template> <labels> [ NAME, KELVIN ] </labels> {instances}"
            f"<template> {template} </template> </system_template>"
            "<smotion mode='remd'> <remd> <stride> 2 </stride> </remd> </smotion>"
        )
        xml = xml.replace(system[0], made).replace("</output>", OUTPUTS)
        xml = re.sub(r"<trajectory stride='\d+'", "<trajectory stride='3'", xml)
        return xml.replace("<simulation ", "<simulation threading='False' ", 1)

    return edit


def assert_same_outputs(folder: Path, other: Path, count: int) -> None:
    """Every number of every output agrees, and every exchange."""
    exchanges = [(f / "simulation.remd_idx").read_text() for f in (folder, other)]
    assert exchanges[0] == exchanges[1] and exchanges[0].count("\n") > 2
    for index in range(count):
        for name in ("out", "e"):
            one, two = (read_columns(f / f"r{index}_simulation.{name}") for f in (folder, other))
            assert one.keys() == two.keys()
            for column, values in two.items():
                np.testing.assert_allclose(one[column], values, rtol=1e-8, err_msg=column)
        trajectory = f"r{index}_simulation.pos_0.extxyz"
        frames, others = (read_frames(f / trajectory) for f in (folder, other))
        for frame, expected in zip(frames, others, strict=True):
            np.testing.assert_allclose(frame.positions, expected.positions, atol=1e-7)
        one, two = (binary(f / f"r{index}_simulation.v_0.bin") for f in (folder, other))
        assert one == two != []


def binary(path: Path) -> list[tuple[int, int]]:
    """Step and end of each frame."""
    with path.open("rb") as file:
        return list(read_records(file, "trajectory", Clock()))


def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("run", "reference"):
        (tmp_path / name).mkdir()
    return tmp_path / "run", tmp_path / "reference"


def test_replica_exchange_gives_ipis_own_numbers_also_after_a_kill(tmp_path):
    """Killed after step 13, when the last checkpoint was of step 10."""
    folder, reference = folders(tmp_path)
    case, edit = Case("svr", strides=(1, 4), steps=16), exchanging(3)
    xml = write(folder, case)
    xml.write_text(edit(xml.read_text()))
    code, _, err = run(folder, "--steps", "13")
    assert (code, err) == (0, "")
    assert "warning" not in (folder / "driver.log").read_text()
    (folder / "RESTART").unlink()
    code, _, err = run(folder, "--restart", "--steps", "16")
    assert code == 0 and err.count("\n") == 1 and "continuing from simulation.state, step 10" in err
    assert summary(folder)["state"] == "finished"
    assert summary(folder)["predictions"]["hits"] >= 15  # of 18, though systems take turns
    simulate(reference, Case("svr", strides=(1, 4), steps=16, mode=None), edit=edit)
    assert_same_outputs(folder, reference, 3)


@pytest.mark.slow
def test_sixteen_replicas_killed_and_restarted_give_ipis_own_numbers(tmp_path):
    folder, reference = folders(tmp_path)
    edit = exchanging(16)
    xml = write(folder, LONG)
    xml.write_text(edit(xml.read_text()))
    process = halfkick(folder, "run", "input.xml")
    while len(steps(folder)) < 30:
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(children(folder)["i-pi"], signal.SIGKILL)
    assert finish(process)[0] == 1
    total = steps(folder)[-1] + 20
    assert run(folder, "--restart", "--steps", str(total))[0] == 0
    simulate(reference, Case("svr", strides=(1, 2), steps=total, mode=None), 600.0, edit)
    assert_same_outputs(folder, reference, 16)


def steps(folder: Path) -> list[int]:
    return steps_written(folder, "r0_simulation.out")
