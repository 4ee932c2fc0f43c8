"""The driver process: faults it outlives, what it is told by the command line, what it counts."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from commands import halfkick
from simulation import HALFKICK, IPI, Case, last_positions, simulate, start, write

LONG = Case("svr", strides=(1, 4), steps=400)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return last_positions(simulate(tmp_path_factory.mktemp("undisturbed"), LONG))


def wait_for(condition, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.01)


def rows(folder: Path) -> int:
    path = folder / "simulation.out"
    return path.read_text().count("\n") if path.exists() else 0


def serve(folder: Path, *arguments: str, log: str = "driver.log") -> subprocess.Popen:
    return start([*HALFKICK, "serve", *arguments], folder, log)


def end(*processes: subprocess.Popen) -> list[int]:
    try:
        return [process.wait(90) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_serve_takes_over_from_another_driver(tmp_path, undisturbed):
    write(tmp_path, LONG)
    ipi = start([*IPI, "input.xml"], tmp_path, "i-pi.log")
    first = serve(tmp_path, "input.xml", log="first.log")
    wait_for(lambda: rows(tmp_path) > 40)
    first.terminate()
    first.wait()
    assert rows(tmp_path) < 400
    second = serve(tmp_path, "input.xml", log="second.log")
    assert end(ipi, second) == [0, 0]
    assert np.array_equal(last_positions(tmp_path), undisturbed)


def test_serve_comes_back_after_ipi_dropped_it(tmp_path, undisturbed):
    """It stops while it owes an answer: what is stopped at another time i-PI waits for for ever."""
    write(tmp_path, replace(LONG, timeout_s=1, model="python:toy:toy?stop_after=100"))
    ipi = start([*IPI, "input.xml"], tmp_path, "i-pi.log")
    driver = serve(tmp_path, "input.xml")
    wait_for(lambda: "Timeout!" in (tmp_path / "i-pi.log").read_text())
    driver.send_signal(signal.SIGCONT)
    assert end(ipi, driver) == [0, 0]
    assert (tmp_path / "driver.log").read_text().count("connected to i-PI") >= 3
    assert np.array_equal(last_positions(tmp_path), undisturbed)


def test_serve_without_the_xml_takes_parameters_from_ipi(tmp_path, undisturbed):
    """A driver elsewhere knows addresses only; the rest comes with INIT."""
    write(tmp_path, LONG)
    driver = serve(
        tmp_path, "--unix", "direct", "--unix", "conservative", "--prefix", f"{tmp_path}/",
        "--report", "report.json", "--allow-code", "--journal", "journal.jsonl",
    )  # fmt: skip
    wait_for((tmp_path / "journal.jsonl").exists)  # it knocks already: i-PI comes later
    ipi = start([*IPI, "input.xml"], tmp_path, "i-pi.log")
    assert end(ipi, driver) == [0, 0]
    assert np.array_equal(last_positions(tmp_path), undisturbed)
    counts = json.loads((tmp_path / "report.json").read_text())["evaluations"]
    both = counts["both"]
    assert counts["direct"] + both == 4 * 400 + 1
    assert counts["conservative"] + both == 400 + 1


@pytest.mark.parametrize("allowed", [False, True])
def test_serve_without_the_xml_keeps_to_the_working_directory(tmp_path, allowed):
    """i-PI may be somebody else's: without its input at hand, it names files here only."""
    case = Case(steps=2, template=str(tmp_path / "init.xyz"))
    write(tmp_path, case)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ipi = start([*IPI, "input.xml"], tmp_path, "i-pi.log")
    driver = serve(
        elsewhere, "--unix", "direct", "--unix", "conservative", "--prefix", f"{tmp_path}/",
        "--allow-code", *["--allow-outside"] * allowed,
    )  # fmt: skip
    if allowed:
        assert end(ipi, driver) == [0, 0]
        return
    assert driver.wait(180) == 2
    ipi.kill()
    ipi.wait()
    assert "--allow-outside" in (elsewhere / "driver.log").read_text().splitlines()[-1]


@pytest.mark.parametrize("allowed", [False, True])
def test_serve_calls_code_named_by_ipi_only_where_allowed(tmp_path, allowed):
    """i-PI may be somebody else's: without its input at hand, it names no function."""
    write(tmp_path, Case(steps=2, model="python:leaves_a_trace:make"))
    trace = tmp_path / "trace"
    source = f"from toy import toy\ndef make():\n    open({str(trace)!r}, 'w')\n    return toy()\n"
    (tmp_path / "leaves_a_trace.py").write_text(source)
    ipi = start([*IPI, "input.xml"], tmp_path, "i-pi.log")
    driver = serve(
        tmp_path, "--unix", "direct", "--unix", "conservative", "--prefix", f"{tmp_path}/",
        *["--allow-code"] * allowed,
    )  # fmt: skip
    if allowed:
        assert end(ipi, driver) == [0, 0]
    else:
        assert driver.wait(180) == 2
        ipi.kill()
        ipi.wait()
        said = (tmp_path / "driver.log").read_text().splitlines()[-1]
        assert "names no code, got 'python:leaves_a_trace:make'" in said and "--allow-code" in said
    assert trace.exists() is allowed


def test_serve_shares_force_fields_between_two_systems(tmp_path):
    """The first of two systems moves as if it were alone, whatever the second one asks."""
    case = Case("nve", steps=20)
    alone = tmp_path / "alone"
    alone.mkdir()
    simulate(alone, case)
    path = write(tmp_path, case)
    xml = path.read_text()
    first, last = xml.index("<system>"), xml.index("</system>") + len("</system>")
    twins = [xml[first:last].replace("<system>", f"<system prefix='{name}'>") for name in "ab"]
    path.write_text(xml[:first] + "".join(twins) + xml[last:])
    ipi = start([*IPI, "input.xml"], tmp_path, "i-pi.log")
    assert end(ipi, serve(tmp_path, "input.xml")) == [0, 0]
    a, b = (ase.io.read(tmp_path / f"{name}_simulation.pos_0.extxyz", -1) for name in "ab")
    assert np.abs(a.positions - last_positions(alone)[0]).max() < 1e-10
    assert np.abs(b.positions - a.positions).max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--unix", "nobody", "--wait", "0.2"], "nobody came within 0.2 s"),
        (["--inet", "localhost"], "expected --inet HOST:PORT, got 'localhost'"),
        (["--inet", "no.such.host.invalid:31415", "--wait", "1"], "cannot connect"),
        (["missing.xml"], "cannot read 'missing.xml'"),
        ([], "expected an i-PI input file"),
    ],
)
def test_serve_refuses_wrong_addresses(tmp_path, arguments, message):
    done = halfkick(tmp_path, "serve", *arguments)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("role: direct, ", ""), "expected 'role' in <parameters>"),
        (("role: direct", "role: fast"), "expected role direct or conservative"),
        (("template: init.xyz", "template: other.xyz"), "no such file"),
        (
            ("model: python:toy:toy", "modle: python:toy:toy"),
            "expected 'model' in the <parameters>",
        ),
        (("ffsocket", "ffmpi"), "at least one <ffsocket>"),
        (("</simulation>", ""), "cannot be parsed"),
    ],
)
def test_serve_refuses_wrong_inputs(tmp_path, change, message):
    path = write(tmp_path, Case())
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    done = halfkick(tmp_path, "serve", "input.xml", "--wait", "0.2")
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]


def test_serve_refuses_a_barostat_without_direct_virial(tmp_path):
    case = Case("npt", model="python:toy:toy?direct_stress=False")
    write(tmp_path, case)
    done = halfkick(tmp_path, "serve", "input.xml", "--wait", "0.2")
    assert done.returncode == 2
    assert "expected a model with direct stress" in done.stderr
    write(tmp_path, Case("nve", model=case.model))
    done = halfkick(tmp_path, "serve", "input.xml", "--wait", "0.2")
    assert "nobody came" in done.stderr  # no complaint about the model
