"""``halfkick run``: what the tests start, wait for, and find left."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import commands
from simulation import ENVIRONMENT, HALFKICK, Case

LONG = Case("svr", strides=(1, 2), steps=100000)
"""More steps than are done before something happens to the run."""

DEADLINE = 180.0  # s, far beyond what anything here takes


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
    """To its end, with the supervisor in this process: exit code, output and messages."""
    done = commands.halfkick(folder, "run", "input.xml", *arguments)
    return done.returncode, done.stdout, done.stderr


def wait_for_row(folder: Path, step: int) -> None:
    """Until i-PI has written the row of this step."""
    deadline = time.monotonic() + DEADLINE
    while not any(row >= step for row in steps_written(folder)):
        assert time.monotonic() < deadline, (folder / "driver.log").read_text()
        time.sleep(0.02)


def steps_written(folder: Path, name: str = "simulation.out") -> list[int]:
    path = folder / name
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


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())
