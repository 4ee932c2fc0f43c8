"""A child process with a log file, and the two of a run: i-PI and the driver."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .die_with_parent import wrap_command
from .folder import RunFolder
from .prompt_ipi import wrap_ipi

__all__ = ["Child", "Machine", "driver_command", "environment", "ipi_command"]

TAIL = 8192  # bytes of a log to look at
TRACEBACK = "Traceback (most recent call last):"
SAYS_MORE = re.compile(r"\s*(@|!W!|\w+Error|Exception|During|The above)|\s*$")
MAX_ERROR_LINES = 3
LITTLE_ROOM = 65_536  # bytes on a disk; a log there may end within the word that says why


@dataclass(frozen=True)
class Machine:
    """What belongs to the machine, not to the simulation.

    Attributes:
        device: of the model.
        dtype: of the model, ``None`` for its own.
        threads: CPU threads of the model, ``None`` for one on each core.
        wait_s: how long the driver waits for i-PI.
    """

    device: str = "cpu"
    dtype: str | None = None
    threads: int | None = None
    wait_s: float = 60.0


class Child:
    """A process in a session of its own, so that Ctrl-C reaches only its parent.

    When the parent is killed, the process gets SIGTERM (on Linux).

    Args:
        name: what messages call it.
        command: program and arguments.
        log: where its output goes; appended to.
        threads: bound on its CPU threads, ``None`` for as many as there are cores.
        batch: whether it leaves the cores to others when it wakes up.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        threads: int | None = None,
        batch: bool = False,
    ) -> None:
        self.name = name
        self.log = log
        self._command = wrap_command(command, batch=batch)
        self._threads = threads
        self.start()

    def start(self) -> None:
        """Start it, or start it again after it has ended."""
        self._log_start = self._read_to = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command,
                cwd=self.log.parent,
                env=environment(self._threads),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def code(self) -> int | None:
        """Exit code, negative for a signal; ``None`` while it runs."""
        return self.process.poll()

    def wait(self, seconds: float) -> bool:
        """Whether it ended within this time."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, grace: float) -> None:
        """Ask it to end, then make it."""
        if self.code is None:
            self.process.terminate()
            if not self.wait(grace):
                self.process.kill()
                self.process.wait()

    def ending(self) -> str:
        """How it ended and why, as far as it said."""
        code = self.code
        if code is not None and code < 0:
            how = f" with {signal.Signals(-code).name}"
        else:
            how = f": {last_error(self.last_output()) or self.last_line()}" if code else ""
        full = os.strerror(errno.ENOSPC)
        if code and full not in how and shutil.disk_usage(self.log).free < LITTLE_ROOM:
            how = f": {full} ({how.removeprefix(': ')})"
        return f"{self.name} ended{how}; see {self.log}"

    def last_output(self) -> str:
        """The end of what it wrote since it was started."""
        with self.log.open("rb") as file:
            file.seek(max(self._log_start, self.log.stat().st_size - TAIL))
            return file.read().decode(errors="replace")

    def new_output(self) -> str:
        """The whole lines it wrote since this was last asked."""
        with self.log.open("rb") as file:
            file.seek(self._read_to)
            lines, newline, _ = file.read().rpartition(b"\n")
        self._read_to += len(lines + newline)
        return lines.decode(errors="replace")

    def last_line(self) -> str:
        """The last line it wrote."""
        lines = self.last_output().split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing was said")
        return last.removeprefix("halfkick: ").removeprefix("error: ")


def last_error(said: str) -> str | None:
    """The last Python error in a log, in one line; ``None`` if there is none."""
    _, found, rest = said.rpartition(TRACEBACK)
    if not found:
        return None
    lines = iter(rest.split("\n")[1:])
    error = next((line for line in lines if line and not line.startswith((" ", "\t"))), None)
    if error is None:
        return None
    parts = [error]
    for line in lines:
        if SAYS_MORE.match(line) or len(parts) == MAX_ERROR_LINES:
            break
        parts.append(line)
    return " ".join(" ".join(parts).split())


def environment(threads: int | None) -> dict[str, str]:
    """The environment of a child: OpenMP threads bounded, and asleep while they wait.

    Spinning threads of the model would take i-PI's core away.
    """
    bound = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"} | bound


def ipi_command(xml: Path, folder: Path, stepper: Machine | None = None) -> list[str]:
    """How to start i-PI of this Python, in a folder, whether or not it is activated.

    Args:
        xml: i-PI's input.
        folder: where it runs.
        stepper: the machine on which a network takes the integrator's place, if one does.
    """
    if stepper is not None:
        device = stepper.device.partition(",")[0]
        command = [sys.executable, "-m", "halfkick.driver", "flash", "ipi"]
        return [*command, os.path.relpath(xml, folder), "--device", device]
    script = Path(sysconfig.get_path("scripts"), "i-pi")
    found = str(script) if script.exists() else shutil.which("i-pi")
    if found is None:
        raise InputError("expected i-PI's command 'i-pi', found none; pip install ipi")
    return wrap_ipi([found, os.path.relpath(xml, folder)])


def driver_command(xml: Path, folder: Path, machine: Machine) -> list[str]:
    """How to start the driver for an input, in a folder."""
    command = [sys.executable, "-m", "halfkick.driver", "serve", os.path.relpath(xml, folder)]
    files = RunFolder(folder)
    command += ["--report", files.report.name, "--journal", files.journal.name]
    command += ["--device", machine.device, "--wait", str(machine.wait_s)]
    command += [] if machine.dtype is None else ["--dtype", machine.dtype]
    command += [] if machine.threads is None else ["--threads", str(machine.threads)]
    return command
