"""One way to run a simulation: i-PI, and the processes that serve it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import RunError
from ...run.die_with_parent import tethered
from ...run.processes import environment
from .inputs import Base, Setup
from .stepper import REPLY

__all__ = ["COSTLESS", "WAYS", "Contender", "Machine"]

COSTLESS = "python:halfkick.driver.study.bench.null_model:Costless"

WAYS = ("halfkick", "ffdirect", "two drivers")
"""This driver; i-PI's metatomic driver inside i-PI; and as one process for each force field."""

WARM = {"mts": 2, "direct": 12, "conservative": 6}
"""Steps before the clock starts: TorchScript takes its time in the first passes."""

PATIENCE_S = 900.0
MOST_STEPS = 100


@dataclass(frozen=True)
class Machine:
    """What everything runs on: device and CPU threads of the model, as on the command line."""

    device: str = "cpu"
    threads: int | None = None


class Contender:
    """A simulation that advances when it is measured, and sleeps (SIGSTOP) while others are.

    Args:
        name: among those that are compared.
        base: the input.
        setup: the simulation.
        way: one of WAYS; ``costless`` (halfkick with a model that costs nothing) or ``i-PI``
            (i-PI with forces that cost nothing).
        folder: an empty one, with a short path: it holds the sockets.
        machine: what it runs on.
        seconds: about how long one measurement may take.

    Attributes:
        cpu_ms: CPU time of all its processes for a step of the last measurement.
    """

    def __init__(
        self,
        name: str,
        base: Base,
        setup: Setup,
        way: str,
        folder: Path,
        machine: Machine,
        seconds: float,
    ) -> None:
        self.name = name
        self._folder = folder
        self._machine = machine
        self._seconds = seconds
        self._steps = WARM[setup.mode]
        folder.mkdir()
        file = _model_file(base.model) if way in ("ffdirect", "two drivers") else ""
        models = {"costless": COSTLESS, "i-PI": "dummy", "ffdirect": f"metatomic {file}"}
        base.write(folder, setup, models.get(way))
        stepper = [sys.executable, "-m", "halfkick.driver.study.bench.stepper", "input.xml"]
        if way in ("halfkick", "costless"):  # as `halfkick run` starts i-PI
            stepper = tethered(stepper, batch=True)
        self._processes = [self._start(stepper, talks=True)]
        roles = ["direct", "conservative"] if setup.mode == "mts" else [setup.mode]
        self._drivers(way, roles, file)

    def _drivers(self, way: str, roles: Sequence[str], file: str) -> None:
        if way in ("halfkick", "costless"):
            command = [sys.executable, "-m", "halfkick.driver", "serve", "input.xml"]
            command += ["--device", self._machine.device]
            if self._machine.threads is not None:
                command += ["--threads", str(self._machine.threads)]
            self._processes.append(self._start(command))
        if way == "two drivers":
            script = str(Path(sysconfig.get_path("scripts"), "i-pi-py_driver"))
            for role in roles:
                self._until((self._folder / role).exists)
                options = f"template=init.xyz,model={file},device={self._machine.device}"
                options += ",non_conservative=True" if role == "direct" else ""
                command = [sys.executable, script, "-u", "-a", role, "-S", f"{self._folder}/"]
                self._processes.append(self._start([*command, "-m", "metatomic", "-o", options]))

    def measure(self) -> list[float]:
        """Advance by some steps; the time of each in ms. The first time only to get warm.

        The first step is left out: caches and threads have to wake up.
        """
        begin_s = self._cpu_s()
        self._signal(signal.SIGCONT)
        times_s = self._advance(self._steps)
        self._signal(signal.SIGSTOP)
        self.cpu_ms = 1e3 * (self._cpu_s() - begin_s) / self._steps
        self._steps = max(2, min(MOST_STEPS, round(self._seconds / min(times_s))))
        return [1e3 * t for t in times_s[1:]]

    def memory_mb(self) -> float:
        """Resident memory of what serves it (the last process), MB."""
        status = Path(f"/proc/{self._processes[-1].pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def _cpu_s(self) -> float:
        """CPU time of all its processes so far."""
        stats = [Path(f"/proc/{process.pid}/stat").read_text() for process in self._processes]
        ticks = [sum(map(int, stat.rpartition(")")[2].split()[11:13])) for stat in stats]
        return sum(ticks) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _advance(self, steps: int) -> list[float]:
        ipi = self._processes[0]
        ipi.stdin.write(f"{steps}\n".encode())
        ipi.stdin.flush()
        reply = b""

        def replied() -> bool:
            nonlocal reply
            if select.select([ipi.stdout], [], [], 0.5)[0]:
                reply = ipi.stdout.readline()
            return reply.startswith(REPLY.encode())

        self._until(replied)
        return json.loads(reply.removeprefix(REPLY.encode()))

    def _until(self, ready: Callable[[], bool]) -> None:
        """Wait for something, as long as all processes live."""
        end = time.monotonic() + PATIENCE_S
        while not ready():
            dead = [p for p in self._processes if p.poll() is not None]
            if dead or time.monotonic() > end:
                log = (self._folder / "log").read_text()[-2000:]
                what = "its end" if dead else "no answer"
                raise RunError(f"expected '{self.name}' to run, got {what}: {log}")
            time.sleep(0.01)

    def _signal(self, number: signal.Signals) -> None:
        """Stop i-PI before, and wake it after those that it talks to."""
        processes = self._processes if number == signal.SIGSTOP else self._processes[::-1]
        for process in processes:
            process.send_signal(number)
            time.sleep(0.02)

    def _start(self, command: list[str], *, talks: bool = False) -> subprocess.Popen:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._folder,
                env=environment(self._machine.threads),
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else log,
                stderr=log,
            )


def _model_file(model: str) -> Path:
    from ....models.load import find_file

    return find_file(model).resolve()
