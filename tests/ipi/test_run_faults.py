"""What ``halfkick run`` does when a process dies or hangs: the run is the undisturbed one."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from running import (
    DEADLINE,
    LONG,
    assert_nothing_left,
    children,
    finish,
    halfkick,
    run,
    steps_written,
    summary,
    wait_for_row,
)
from simulation import Case, properties, simulate, write

SHORT = Case("svr", strides=(1, 2), steps=60)

pytestmark = pytest.mark.usefixtures("nothing_outlives_the_test")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a run that nothing happens to."""
    return simulate(tmp_path_factory.mktemp("undisturbed"), SHORT)


def assert_as_undisturbed(folder: Path, undisturbed: Path, rtol: float) -> None:
    assert steps_written(folder) == list(range(SHORT.steps + 1))
    one, two = properties(folder), properties(undisturbed)
    for name, values in two.items():
        np.testing.assert_allclose(one[name], values, rtol=rtol)


def test_run_replaces_a_driver_that_dies(tmp_path, undisturbed):
    """The run is the undisturbed one, byte by byte."""
    write(tmp_path, replace(SHORT, model="python:toy:toy?die_after=60"))
    code, out, err = run(tmp_path)
    assert code == 0 and "finished: 60 steps" in out
    assert err.count("the driver ended with SIGKILL") == err.count("starting another") == 2
    assert summary(tmp_path)["drivers"] == 3 and "of the last of 3 drivers" in out
    assert_nothing_left(tmp_path)
    one, two = ((path / "simulation.out").read_bytes() for path in (tmp_path, undisturbed))
    assert one == two


def test_run_starts_ipi_again_when_it_stops_listening(tmp_path, undisturbed):
    """A driver killed with a request unread takes i-PI's polling thread with it."""
    xml = write(tmp_path, replace(SHORT, mode="inet", model="python:toy:toy?reset_after=100"))
    xml.write_text(xml.read_text().replace("safe_stride='1000'", "safe_stride='10'"))
    code, out, err = run(tmp_path)
    assert code == 0 and "finished: 60 steps" in out
    assert "i-PI stopped listening" in err
    assert sum(summary(tmp_path)["evaluations"].values()) < 60  # from RESTART, not from the start
    assert_nothing_left(tmp_path)
    assert_as_undisturbed(tmp_path, undisturbed, rtol=1e-8)


def test_run_ends_when_drivers_die_again_and_again(tmp_path):
    write(tmp_path, Case("svr", strides=(1, 2), steps=400, model="python:toy:toy?die_after=1"))
    code, _, err = run(tmp_path)
    assert code == 1
    assert err.count("starting") >= 2
    assert "the driver ended with SIGKILL; see" in err.split("\n")[-2]
    assert summary(tmp_path)["state"] == "failed"
    assert (tmp_path / "RESTART").exists()
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("mode", ["unix", "shm"])
def test_run_ends_when_ipi_dies_and_restart_goes_on(tmp_path, mode):
    """A killed i-PI leaves its socket file; the next run starts all the same, from a checkpoint."""
    xml = write(tmp_path, Case("svr", strides=(1, 2), steps=100000, mode=mode))
    # in files of their own: the one that i-PI writes when it is killed is cut short
    often = "<checkpoint stride='8' overwrite='False'"
    xml.write_text(xml.read_text().replace("<checkpoint stride='100000'", often))
    process = halfkick(tmp_path, "run", "input.xml")
    wait_for_row(tmp_path, 20)
    ipi = children(tmp_path)["i-pi"]
    os.kill(ipi, signal.SIGKILL)
    code, _, err = finish(process)
    assert code == 1
    assert "i-PI ended with SIGKILL" in err.split("\n")[-2]
    assert_nothing_left(tmp_path)
    assert list(Path("/dev/shm").glob(f"ipi_shm_{ipi}_*")) == []
    more = steps_written(tmp_path)[-1] + 5
    assert run(tmp_path, "--restart", "--steps", str(more))[0] == 0
    assert steps_written(tmp_path) == list(range(more + 1))


def test_run_interrupted_twice_ends_a_driver_that_hangs(tmp_path):
    """i-PI cannot end while it waits for an answer: two signals end both at once."""
    write(tmp_path, LONG)
    process = halfkick(tmp_path, "run", "input.xml")
    wait_for_row(tmp_path, 20)
    os.kill(children(tmp_path)["driver"], signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    code, _, _ = finish(process)
    assert code == 128 + signal.SIGINT
    assert_nothing_left(tmp_path)


def test_run_replaces_a_driver_that_hangs(tmp_path, undisturbed):
    write(tmp_path, replace(SHORT, timeout_s=3, model="python:toy:toy?stop_after=60"))
    code, _, err = run(tmp_path)
    assert code == 0
    assert "timeout" in err and "starting another" in err
    assert_nothing_left(tmp_path)
    assert_as_undisturbed(tmp_path, undisturbed, rtol=1e-8)


def test_run_that_is_killed_leaves_nothing_but_restart(tmp_path):
    write(tmp_path, LONG)
    process = halfkick(tmp_path, "run", "input.xml")
    wait_for_row(tmp_path, 20)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + DEADLINE
    while children(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert_nothing_left(tmp_path)
    assert (tmp_path / "RESTART").exists()
