"""``halfkick run``: what a run leaves, how it ends, and how it goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from simulation import ENVIRONMENT, HALFKICK, IPI, Case, properties, simulate, start, write

LONG = Case("svr", strides=(1, 2), steps=100000)
"""More steps than are done before something happens to the run."""

DEADLINE = 60.0  # s, far beyond what anything here takes


def halfkick(folder: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [*HALFKICK, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
    return process.returncode, out, err


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    return finish(halfkick(folder, "run", "input.xml", *arguments))


def wait_for_row(folder: Path, step: int) -> None:
    """Until i-PI has written the row of this step."""
    deadline = time.monotonic() + DEADLINE
    while not any(row >= step for row in steps_written(folder)):
        assert time.monotonic() < deadline, (folder / "driver.log").read_text()
        time.sleep(0.02)


def steps_written(folder: Path) -> list[int]:
    path = folder / "simulation.out"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [round(float(line.split()[0])) for line in lines if not line.startswith("#")]


def children(folder: Path) -> dict[str, int]:
    """Processes at work in ``folder`` or below, by what they are."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").resolve().is_relative_to(folder):
                command = (entry / "cmdline").read_text().split("\0")
                if "run" not in command:
                    ipi = any(argument.endswith("/i-pi") for argument in command)
                    kind = "i-pi" if ipi else "driver" if "serve" in command else "helper"
                    found[kind] = int(entry.name)
        except OSError:
            continue  # it ended meanwhile
    return found


def assert_nothing_left(folder: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while "helper" in children(folder) and time.monotonic() < deadline:
        time.sleep(0.02)  # Python's own, which cleans shared memory up after its owner
    assert children(folder) == {}
    assert [path.name for path in folder.iterdir() if path.is_socket()] == []


@pytest.fixture(autouse=True)
def _end_what_a_failed_test_leaves(tmp_path):
    yield
    for pid in children(tmp_path).values():
        os.kill(pid, signal.SIGKILL)


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def test_a_finished_run_is_summed_up(tmp_path):
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
    slope = np.polyfit(rows["time"], rows["conserved"] / 27 * 1e3, 1)[0]
    assert result["drift_meV_per_atom_ps"] == pytest.approx(slope)
    assert result["drift_error"] > 0 and result["temperature_error_K"] > 0
    assert ase.io.read(tmp_path / "simulation.pos_0.extxyz").positions.shape == (27, 3)
    assert (tmp_path / "energy.png").read_bytes().startswith(b"\x89PNG")


def test_it_is_the_same_as_two_terminals(tmp_path):
    """Output files agree byte by byte."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, Case("svr", strides=(1, 2), steps=30))
    assert run(tmp_path / "one")[0] == 0
    simulate(tmp_path / "two", Case("svr", strides=(1, 2), steps=30))
    outputs = sorted(path.name for path in (tmp_path / "two").glob("simulation.*"))
    assert outputs == sorted(path.name for path in (tmp_path / "one").glob("simulation.*"))
    for name in outputs:
        if name != "simulation.restart":  # holds the date and the socket prefix
            assert (tmp_path / "one" / name).read_text() == (tmp_path / "two" / name).read_text()


@pytest.mark.parametrize(("number", "safe_stride"), [(signal.SIGINT, 16), (signal.SIGTERM, 1)])
def test_an_interrupted_run_goes_on(tmp_path, number, safe_stride):
    """The two parts together are the uninterrupted run, whatever i-PI's last safe state was."""
    folder, whole = tmp_path / "folder", tmp_path / "whole"
    for path in (folder, whole):
        path.mkdir()
        xml = write(path, LONG)
        xml.write_text(
            xml.read_text()
            .replace("safe_stride='1000'", f"safe_stride='{safe_stride}'")
            .replace("<trajectory stride='100000'", "<trajectory stride='7'")
        )
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
    assert run(whole, "--steps", more)[0] == 0
    assert steps_written(folder) == list(range(int(more) + 1))
    one, two = properties(folder), properties(whole)
    for name, values in two.items():
        np.testing.assert_allclose(one[name], values, rtol=1e-9)
    frames, others = (ase.io.read(f / "simulation.pos_0.extxyz", ":") for f in (folder, whole))
    assert len(frames) == len(others) == int(more) // 7 + 1
    for frame, other in zip(frames, others, strict=True):
        np.testing.assert_allclose(frame.positions, other.positions, atol=1e-7)


def test_a_second_run_keeps_the_first(tmp_path):
    write(tmp_path, Case(steps=4))
    assert run(tmp_path)[0] == 0
    first = {n: (tmp_path / n).read_bytes() for n in ("simulation.out", "RESTART", "summary.json")}
    assert run(tmp_path, "--steps", "6")[0] == 0
    assert steps_written(tmp_path)[-1] == 6
    for name, content in first.items():
        assert (tmp_path / f"#{name}#0#").read_bytes() == content


def test_a_driver_that_dies_is_replaced(tmp_path):
    """The run is the undisturbed one, byte by byte."""
    for name, options in (("one", "?die_after=60"), ("two", "")):
        (tmp_path / name).mkdir()
        model = f"python:toy:toy{options}"
        write(tmp_path / name, Case("svr", strides=(1, 2), steps=60, model=model))
    code, out, err = run(tmp_path / "one")
    assert code == 0 and "finished: 60 steps" in out
    assert err.count("the driver ended with SIGKILL") == err.count("starting another") == 2
    assert_nothing_left(tmp_path / "one")
    assert run(tmp_path / "two")[0] == 0
    one, two = ((tmp_path / name / "simulation.out").read_bytes() for name in ("one", "two"))
    assert one == two


def test_ipi_that_stops_listening_is_started_again(tmp_path):
    """A driver killed with a request unread takes i-PI's polling thread with it."""
    folder, whole = tmp_path / "one", tmp_path / "two"
    for name in (folder, whole):
        name.mkdir()
        model = "python:toy:toy?reset_after=100"
        xml = write(name, Case("svr", strides=(1, 2), steps=60, mode="inet", model=model))
        xml.write_text(xml.read_text().replace("safe_stride='1000'", "safe_stride='10'"))
    (whole / "was_reset").touch()
    code, out, err = run(folder)
    assert code == 0 and "finished: 60 steps" in out
    assert "i-PI stopped listening" in err
    assert sum(summary(folder)["evaluations"].values()) < 60  # from RESTART, not from the start
    assert_nothing_left(folder)
    assert run(whole)[0] == 0
    assert steps_written(folder) == list(range(61))
    one, two = properties(folder), properties(whole)
    for name, values in two.items():
        np.testing.assert_allclose(one[name], values, rtol=1e-8)


def test_a_driver_that_dies_again_and_again_ends_the_run(tmp_path):
    write(tmp_path, Case("svr", strides=(1, 2), steps=400, model="python:toy:toy?die_after=1"))
    code, _, err = run(tmp_path)
    assert code == 1
    assert err.count("starting") >= 2
    assert "the driver ended with SIGKILL; see" in err.split("\n")[-2]
    assert summary(tmp_path)["state"] == "failed"
    assert (tmp_path / "RESTART").exists()
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("mode", ["unix", "shm"])
def test_ipi_dies(tmp_path, mode):
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


def test_a_driver_that_hangs_is_ended(tmp_path):
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


def test_a_driver_that_hangs_is_replaced(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, Case("svr", strides=(1, 2), steps=100, timeout_s=3))
    process = halfkick(tmp_path / "one", "run", "input.xml")
    wait_for_row(tmp_path / "one", 20)
    os.kill(children(tmp_path / "one")["driver"], signal.SIGSTOP)
    code, _, err = finish(process)
    assert code == 0
    assert "timeout" in err and "starting another" in err
    assert_nothing_left(tmp_path / "one")
    assert run(tmp_path / "two")[0] == 0
    one, two = properties(tmp_path / "one"), properties(tmp_path / "two")
    for name, values in two.items():
        np.testing.assert_allclose(one[name], values, rtol=1e-8)


def test_a_killed_run_leaves_nothing_but_restart(tmp_path):
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


def test_a_stale_socket_file_is_no_obstacle(tmp_path):
    write(tmp_path, Case(steps=4))
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "direct"))
    code, _, err = run(tmp_path)
    assert code == 0
    assert "removed" in err and str(tmp_path / "direct") in err
    assert_nothing_left(tmp_path)


def replace_in(name: str, old: str, new: str):
    """A way to spoil a file."""

    def spoil(folder: Path) -> None:
        path = folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return spoil


def other_template(folder: Path) -> None:
    structure = ase.io.read(folder / "init.xyz")
    ase.io.write(folder / "other.xyz", structure[:-1])
    replace_in("input.xml", "template: init.xyz", "template: other.xyz")(folder)


def no_number(folder: Path) -> None:
    structure = ase.io.read(folder / "init.xyz")
    structure.positions[3, 1] = np.nan
    ase.io.write(folder / "init.xyz", structure)


def other_species(folder: Path) -> None:
    structure = ase.io.read(folder / "init.xyz")
    structure.symbols[0] = "Ar"
    ase.io.write(folder / "init.xyz", structure)


def no_socket(folder: Path) -> None:
    simple = "<fflj name='lj'/>"
    text = (folder / "input.xml").read_text()
    head, tail = text[: text.index("<ffsocket")], text[text.rindex("</ffsocket>") + 11 :]
    (folder / "input.xml").write_text(head + simple + tail)


def no_model_file(folder: Path) -> None:
    (folder / "broken.pt").write_text("no model")
    replace_in("input.xml", "python:toy:toy", "broken.pt")(folder)


BAD = {
    "no such model": (replace_in("input.xml", "python:toy:toy", "nowhere"), "'nowhere'"),
    "no model": (no_model_file, "broken.pt"),
    "a role the model lacks": (
        replace_in("input.xml", "python:toy:toy", "python:toy:toy?direct=False"),
        "direct forces, but it offers only conservative",
    ),
    "no role": (replace_in("input.xml", "role: direct, ", ""), "role"),
    "a species the model does not know": (other_species, "got Ar"),
    "another number of atoms": (other_template, "other.xyz"),
    "no ffsocket": (no_socket, "<ffsocket>"),
    "positions that are no numbers": (no_number, "finite"),
    "forces that are no numbers": (
        replace_in("input.xml", "python:toy:toy", "python:toy:toy?nan_after=5"),
        "finite",
    ),
    "no input": (lambda folder: (folder / "input.xml").unlink(), "input.xml"),
    "no XML": (replace_in("input.xml", "<simulation", "simulation"), "XML"),
    "nonsense for i-PI": (replace_in("input.xml", "mode='nve'", "mode='nonsense'"), "nonsense"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_gives_one_clear_line(tmp_path, what):
    spoil, said = BAD[what]
    write(tmp_path, Case(steps=20))
    spoil(tmp_path)
    code, _, err = run(tmp_path)
    assert code not in (0, None)
    assert err.startswith("halfkick: error: ") and err.count("\n") == 1, err
    assert said in err
    assert_nothing_left(tmp_path)


def test_a_device_that_is_not_there(tmp_path):
    if Path("/dev/nvidiactl").exists():
        pytest.skip("there is a GPU")
    write(tmp_path, Case(steps=4, model="water"))
    code, _, err = run(tmp_path, "--device", "cuda")
    assert code not in (0, None)
    assert err.count("\n") == 1 and "cuda" in err
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("mode", ["unix", "inet"])
def test_an_address_in_use(tmp_path, mode):
    xml = write(tmp_path, Case(steps=4, mode=mode))
    with socket.socket(socket.AF_UNIX if mode == "unix" else socket.AF_INET) as listener:
        if mode == "unix":
            listener.bind(str(tmp_path / "direct"))
        else:
            listener.bind(("localhost", int(xml.read_text().split("<port>")[2].split()[0])))
        listener.listen()
        (tmp_path / "simulation.out").write_text("of the run that is there")
        code, _, err = run(tmp_path)
        assert code not in (0, None)
        assert err.count("\n") == 1 and "in use" in err
        assert (tmp_path / "simulation.out").exists()
        assert (tmp_path / "direct").is_socket() == (mode == "unix")
        assert children(tmp_path) == {}


def test_an_ipi_that_never_comes(tmp_path):
    write(tmp_path, Case(steps=4))
    code, _, err = finish(halfkick(tmp_path, "serve", "input.xml", "--wait", "2"))
    assert code not in (0, None)
    assert "error" in err.strip().split("\n")[-1]
    assert_nothing_left(tmp_path)


def test_the_driver_alone(tmp_path):
    write(tmp_path, Case(steps=4))
    ipi = start([*IPI, "input.xml"], tmp_path, "i-pi.log")
    try:
        code, _, _ = run(tmp_path, "--driver-only")
        assert code == 0
        assert ipi.wait(DEADLINE) == 0
    finally:
        ipi.kill()
    assert steps_written(tmp_path)[-1] == 4
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--restart",), "RESTART"), (("--steps", "0"), "steps left")],
)
def test_nothing_to_do(tmp_path, arguments, said):
    write(tmp_path, Case(steps=4))
    code, _, err = run(tmp_path, *arguments)
    assert code not in (0, None)
    assert err.startswith("halfkick: error: ") and err.count("\n") == 1
    assert said in err


def test_a_scenario_that_is_not_there(tmp_path):
    code, _, err = finish(halfkick(tmp_path, "run", "water_on_mars"))
    assert code not in (0, None)
    assert "water_on_mars" in err and "water_nvt_mts" in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
