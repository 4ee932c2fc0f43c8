"""Disturbs one run at random times and in random ways, and compares it with the undisturbed one.

``python tests/tools/faults.py --count 200 --seed 0``. The run is a ring polymer of four beads under
multiple time stepping with a thermostat, served over unix sockets: the direct force field in
batches, through :mod:`cutter`; the conservative one bead by bead.

Until i-PI itself is started again the outputs must be the undisturbed ones to the last bit, and
after that to TOLERANCE: i-PI moves normal modes and stores beads, and the way there and back
rounds. The thermostat's noise is the same, so that such differences do not grow.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from cutter import Cutter
from rows import deviations
from running import children
from simulation import ENVIRONMENT, HALFKICK, Case, write

TOLERANCE = 1e-9
"""Largest difference to the undisturbed run, relative to the largest value of a column."""

STRIDE = 10  # outer steps between checkpoints
CHECKPOINTS = f"<checkpoint stride='{STRIDE}'/> <checkpoint filename='other' stride='7'/>"
"""Two: i-PI, killed while it writes, may have written the last one but not all of its outputs."""

DEADLINE = 180.0  # s for the run to go on after a fault
CASE = Case("pile", strides=(1, 2), beads=4, batch=4, steps=10**6, timeout_s=3)
KINDS = ("driver killed", "driver stopped", "i-PI killed", "connection cut", "connection reset")


class Hang(Exception):
    """The run did not go on in time."""


@dataclass
class Report:
    """What came of the faults.

    Attributes:
        kinds: how many of each kind.
        restarts: how often i-PI was started again, by whom.
        exact: outer steps until the first of these.
        steps: outer steps in all.
        deviation: the largest relative difference, by output.
        slowest: s until the run went on after a fault, by kind.
        seconds: it took.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    exact: int | None = None
    steps: int = 0
    deviation: dict[str, float] = field(default_factory=dict)
    slowest: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def __str__(self) -> str:
        def listed(values: dict[str, float], form: str) -> str:
            return ", ".join(f"{key} {value:{form}}" for key, value in values.items()) or "none"

        return "\n".join(
            [
                f"{self.kinds.total()} faults in {self.steps} outer steps, {self.seconds:.0f} s",
                f"of each kind: {listed(self.kinds, 'd')}",
                f"i-PI started again: {listed(self.restarts, 'd')}",
                f"to the last bit until step {self.exact or self.steps}",
                f"largest relative difference: {listed(self.deviation, '.1e')}",
                f"slowest to go on, s: {listed(self.slowest, '.1f')}",
            ]
        )


class Run:
    """One run in ``folder`` that is to be disturbed."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng, self.report = folder, rng, Report()
        write_input(folder)
        self.cutter = Cutter(folder / "direct")
        self.cutter.start()
        self.process: subprocess.Popen | None = None
        self.start()

    def start(self, *arguments: str) -> None:
        with (self.folder / "run.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*HALFKICK, "run", "input.xml", *arguments],
                cwd=self.folder, env=ENVIRONMENT, stdout=log, stderr=log,
            )  # fmt: skip

    def end(self, code: int) -> None:
        """Wait for the end of ``halfkick run``; it leaves nothing behind but files."""
        found = self.process.wait(DEADLINE)
        if found != code:
            raise RuntimeError(f"expected exit code {code}, got {found}: {self.log()}")
        until(lambda: not children(self.folder), "a process is left", self)
        sockets = [path.name for path in self.folder.iterdir() if path.is_socket()]
        if set(sockets) - {self.cutter.real.name}:
            raise RuntimeError(f"expected no socket files, got {sockets}")

    def log(self) -> str:
        return "".join(p.read_text()[-3000:] for p in sorted(self.folder.glob("*.log")))

    def last_step(self) -> int:
        """The step of the last complete row; -1 if there is none."""
        path = self.folder / "simulation.out"
        if not path.exists():
            return -1
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - 4096, 0))
            lines = file.read().split(b"\n")[-2:-1]
        return -1 if not lines or b"#" in lines[0] else round(float(lines[0].split()[0]))

    def disturb(self, kind: str) -> None:
        """Do harm, and wait until the run has gone on for some steps."""
        time.sleep(self.rng.uniform(0.0, 0.05))
        begin, before, lost = time.monotonic(), self.last_step(), self.times_lost()
        if kind == "driver killed":
            os.kill(self._find("driver"), signal.SIGKILL)
        elif kind == "driver stopped":
            os.kill(self._find("driver"), signal.SIGSTOP)
        elif kind == "i-PI killed":
            self._kill_ipi()
        else:
            sender = self.rng.choice(["i-PI", "driver"])
            self.cutter.cut(sender, self.rng.randrange(1, 9000), kind == "connection reset")
            until(self.cutter.done.is_set, "nothing was cut", self)
        step = self.last_step() + self.rng.randrange(5, 15)  # more than was under way
        until(lambda: self.last_step() >= step, f"no step {step} ({kind})", self)
        self.report.kinds[kind] += 1
        if kind == "i-PI killed":
            self.note_restart(before, "by hand")
        for _ in range(self.times_lost() - lost):
            self.note_restart(before, "by halfkick run")
        slowest = self.report.slowest
        slowest[kind] = max(slowest.get(kind, 0.0), time.monotonic() - begin)

    def _find(self, kind: str) -> int:
        until(lambda: kind in children(self.folder), f"no {kind}", self)
        return children(self.folder)[kind]

    def _kill_ipi(self) -> None:
        pid = self._find("i-pi")
        self.cutter.withdraw()
        os.kill(pid, signal.SIGKILL)
        self.end(1)
        if segments := list(Path("/dev/shm").glob(f"ipi_shm_{pid}_*")):
            raise RuntimeError(f"expected no shared memory, got {segments}")
        self.start("--restart")

    def times_lost(self) -> int:
        """How often ``halfkick run`` started i-PI again."""
        return (self.folder / "run.log").read_text().count("i-PI stopped listening")

    def note_restart(self, step: int, who: str) -> None:
        if self.report.exact is None:
            self.report.exact = max(step - 2 * STRIDE, 0)
        self.report.restarts[who] += 1

    def finish(self) -> None:
        """End it where it is, and have it do 20 steps more."""
        self.process.send_signal(signal.SIGTERM)
        self.end(128 + signal.SIGTERM)
        self.note_restart(self.last_step(), "at the end")
        self.report.steps = self.last_step() + 20
        self.start("--restart", "--steps", str(self.report.steps))
        self.end(0)

    def stop(self) -> None:
        """End whatever is left of it."""
        self.process.kill()
        self.process.wait()
        self.cutter.stop()
        for pid in children(self.folder).values():
            os.kill(pid, signal.SIGKILL)


def write_input(folder: Path) -> None:
    """The direct force field in batches, the conservative one bead by bead; checkpoints."""
    path = write(folder, CASE)
    first, second = path.read_text().split("</ffsocket>", 1)
    xml = first.replace("<batch_size> 4 </batch_size>", "") + "</ffsocket>" + second
    for old, new in {
        "<checkpoint stride='100000'/>": CHECKPOINTS,
        f"<trajectory stride='{CASE.steps}'": "<trajectory stride='5'",
        "safe_stride='1000'": f"safe_stride='{STRIDE}'",
        "<motion mode='dynamics'>": "<motion mode='dynamics'> <fixcom> False </fixcom>",
    }.items():
        xml = xml.replace(old, new)
    path.write_text(xml)


def until(done: Callable[[], bool], what: str, run: Run) -> None:
    deadline = time.monotonic() + DEADLINE
    while not done():
        if time.monotonic() > deadline:
            raise Hang(f"{what} within {DEADLINE:.0f} s: {run.log()}")
        time.sleep(0.01)


def main(kinds: list[str], seed: int, folder: Path) -> Report:
    """Do harm of these kinds in random order, and compare with the run without it."""
    rng = random.Random(seed)
    rng.shuffle(kinds)
    disturbed, whole = folder / "disturbed", folder / "whole"
    for path in (disturbed, whole):
        path.mkdir()
    begin = time.monotonic()
    run = Run(disturbed, rng)
    try:
        until(lambda: run.last_step() >= 5, "no start", run)
        for number, kind in enumerate(kinds):
            print(f"{time.monotonic() - begin:.0f} s, {number}: {kind}", flush=True)
            run.disturb(kind)
        run.finish()
    finally:
        run.stop()
    run.report.seconds = time.monotonic() - begin
    write_input(whole)
    command = [*HALFKICK, "run", "input.xml", "--steps", str(run.report.steps)]
    subprocess.run(command, cwd=whole, env=ENVIRONMENT, check=True, capture_output=True)
    report = run.report
    report.deviation = deviations(disturbed, whole, report.steps, report.exact)
    if max(report.deviation.values()) > TOLERANCE:
        raise RuntimeError(f"expected the undisturbed run, got\n{report}")
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    options = parser.parse_args()
    kinds = [options.kinds[i % len(options.kinds)] for i in range(options.count)]
    place = Path(tempfile.mkdtemp(prefix="hk"))
    try:
        print(main(kinds, options.seed, place))
    except (Hang, RuntimeError) as error:
        sys.exit(f"failed, see {place}: {error}")
    shutil.rmtree(place)
