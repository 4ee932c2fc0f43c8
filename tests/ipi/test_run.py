"""``halfkick run``: what a run leaves, how it ends, and how it goes on."""

from __future__ import annotations

import re
import signal
import socket
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from running import (
    DEADLINE,
    LONG,
    assert_nothing_left,
    finish,
    halfkick,
    run,
    steps_written,
    summary,
    wait_for_row,
)
from simulation import IPI, Case, properties, simulate, start, write

pytestmark = pytest.mark.usefixtures("nothing_outlives_the_test")


def test_run_that_finished_is_summed_up(tmp_path):
    write(tmp_path, Case("nve", strides=(1, 2), steps=40))
    code, out, err = run(tmp_path)
    assert (code, err) == (0, "")
    assert "finished: 40 steps" in out
    assert_nothing_left(tmp_path)
    result = summary(tmp_path)
    assert (result["state"], result["steps"]) == ("finished", 40)
    counts = result["evaluations"]
    assert counts["direct"] + counts["both"] == 81
    assert counts["conservative"] + counts["both"] == 41
    rows = properties(tmp_path)
    assert result["temperature_K"] == pytest.approx(rows["temperature"].mean())
    line = np.polyfit(rows["time"], rows["conserved"] / 27 * 1e3, 1)[0]
    assert result["drift_error"] > 0 and result["temperature_error_K"] > 0
    assert abs(result["drift_meV_per_atom_ps"] - line) < 3 * result["drift_error"]
    assert ase.io.read(tmp_path / "simulation.pos_0.extxyz").positions.shape == (27, 3)
    assert (tmp_path / "energy.png").read_bytes().startswith(b"\x89PNG")


def test_run_is_the_same_as_two_terminals(tmp_path):
    """Output files agree byte by byte."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, Case("svr", strides=(1, 2), steps=30))
    assert run(tmp_path / "one")[0] == 0
    simulate(tmp_path / "two", Case("svr", strides=(1, 2), steps=30), ipi_command=IPI)
    outputs = sorted(path.name for path in (tmp_path / "two").glob("simulation.*"))
    assert outputs == sorted(path.name for path in (tmp_path / "one").glob("simulation.*"))
    for name in outputs:
        if name != "simulation.restart":  # holds the date and the socket prefix
            assert (tmp_path / "one" / name).read_text() == (tmp_path / "two" / name).read_text()


@pytest.mark.parametrize(("number", "safe_stride"), [(signal.SIGINT, 16), (signal.SIGTERM, 1)])
def test_run_that_was_interrupted_goes_on(tmp_path, number, safe_stride):
    """The two parts together are the uninterrupted run, whatever i-PI's last safe state was."""
    folder, whole = tmp_path / "folder", tmp_path / "whole"
    folder.mkdir()
    whole.mkdir()

    def edit(xml: str) -> str:
        xml = xml.replace("safe_stride='1000'", f"safe_stride='{safe_stride}'")
        return re.sub(r"<trajectory stride='\d+'", "<trajectory stride='7'", xml)

    xml = write(folder, LONG)
    xml.write_text(edit(xml.read_text()))
    process = halfkick(folder, "run", "input.xml")
    wait_for_row(folder, 20)
    process.send_signal(number)
    code, out, err = finish(process)
    assert (code, err) == (128 + number, "")
    assert "interrupted" in out and "--restart" in out
    assert (folder / "RESTART").exists()
    assert summary(folder)["state"] == "interrupted"
    assert_nothing_left(folder)

    more = str(steps_written(folder)[-1] + 20)
    code, out, err = run(folder, "--restart", "--steps", more)
    assert (code, err) == (0, "")
    assert summary(folder)["steps"] == int(more)
    simulate(whole, replace(LONG, steps=int(more)), edit=edit)
    assert steps_written(folder) == list(range(int(more) + 1))
    one, two = properties(folder), properties(whole)
    for name, values in two.items():
        np.testing.assert_allclose(one[name], values, rtol=1e-9)
    frames, others = (ase.io.read(f / "simulation.pos_0.extxyz", ":") for f in (folder, whole))
    assert len(frames) == len(others) == int(more) // 7 + 1
    for frame, other in zip(frames, others, strict=True):
        np.testing.assert_allclose(frame.positions, other.positions, atol=1e-7)


def test_run_keeps_the_outputs_of_the_run_before(tmp_path):
    write(tmp_path, Case(steps=4))
    assert run(tmp_path)[0] == 0
    first = {n: (tmp_path / n).read_bytes() for n in ("simulation.out", "RESTART", "summary.json")}
    assert run(tmp_path, "--steps", "6")[0] == 0
    assert steps_written(tmp_path)[-1] == 6
    for name, content in first.items():
        assert (tmp_path / f"#{name}#0#").read_bytes() == content


def test_run_takes_the_place_of_a_stale_socket_file(tmp_path):
    write(tmp_path, Case(steps=4))
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "direct"))
    code, _, err = run(tmp_path)
    assert code == 0
    assert "removed" in err and str(tmp_path / "direct") in err
    assert_nothing_left(tmp_path)


def test_run_can_start_the_driver_alone(tmp_path):
    write(tmp_path, Case(steps=4))
    ipi = start([*IPI, "input.xml"], tmp_path, "i-pi.log")
    try:
        code, _, _ = finish(halfkick(tmp_path, "run", "input.xml", "--driver-only"))
        assert code == 0
        assert ipi.wait(DEADLINE) == 0
    finally:
        ipi.kill()
    assert steps_written(tmp_path)[-1] == 4
    assert_nothing_left(tmp_path)
