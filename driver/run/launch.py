"""Runs i-PI and the driver together: starts both, shows progress, ends both, sums up."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from shutil import copy2
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from halfkick.driver.config import ConfigError
from halfkick.driver.run.addresses import claim, release
from halfkick.driver.run.job import Job, describe, done_steps, prepare
from halfkick.driver.run.processes import Child, driver_command, environment, ipi_command

if TYPE_CHECKING:
    from rich.console import Console

    from halfkick.driver.run.progress import Progress

__all__ = ["copy_scenario", "run"]

log = logging.getLogger(__name__)

LOOK_EVERY = 0.1  # s
GRACE = 20.0  # s for i-PI to write RESTART, and for a driver to end after i-PI
FAILED = 1
REFUSALS = (0, 2, 3)  # exit codes of a driver that ended on purpose
MAX_DEATHS = 3  # at one step
SILENCE = 60.0  # s without a sign of life of the driver, unless the input has a <timeout>
POLL_THREAD_DIED = "Exception in thread poll_"
"""What i-PI says when a driver was killed with a request unread in its socket; it then hangs."""
TIMED_OUT = "Timeout!"
"""What i-PI says when a driver let its ``<timeout>`` pass and was dropped."""


def copy_scenario(name: str, destination: Path) -> Path:
    """Copy a scenario that ships with halfkick to ``destination / name``.

    Files that are there already stay as they are: they may have been edited, or belong to a run.

    Raises:
        ConfigError: if there is no such scenario.
    """
    source = files("halfkick.ipi_inputs")
    names = sorted(entry.name for entry in source.iterdir() if (entry / "input.xml").is_file())
    if name not in names:
        raise ConfigError(
            f"expected an i-PI input file or one of the scenarios {', '.join(names)}, got '{name}'"
        )
    folder = destination / name
    folder.mkdir(parents=True, exist_ok=True)
    with as_file(source / name) as original:
        for file in original.iterdir():
            if not (folder / file.name).exists():
                copy2(file, folder)
    return folder


def run(
    input_xml: Path,
    *,
    steps: int | None,
    restart: bool,
    driver_only: bool,
    threads: int | None,
    device: str,
    dtype: str | None,
    wait: float,
    console: Console,
) -> int:
    """Run i-PI and the driver on an input, in the folder of the input.

    Args:
        input_xml: i-PI's input, or a folder that holds ``input.xml``.
        steps: outer steps in all, instead of the input's.
        restart: whether to continue an earlier run.
        driver_only: whether to start the driver alone; this process becomes it.
        threads: CPU threads of the model.
        device: of the model.
        dtype: of the model, ``None`` for its own.
        wait: seconds the driver waits for i-PI.
        console: for progress and summary.

    Returns:
        Exit code: 0 when i-PI ended by itself, 128 + N after signal N, 1 if something failed.

    Raises:
        ConfigError: if the run cannot start.
    """
    xml = input_xml.resolve()
    xml = xml / "input.xml" if xml.is_dir() else xml
    endpoints = describe(xml).endpoints
    if driver_only:
        command = driver_command(xml, device, dtype, threads, wait)
        os.chdir(xml.parent)
        os.execve(command[0], command, environment(threads))
    claim(endpoints)  # before anything is moved: the folder may belong to a run that goes on
    job = prepare(xml, steps, restart)
    (job.folder / "driver.json").unlink(missing_ok=True)
    driver = partial(driver_command, device=device, dtype=dtype, threads=threads, wait=wait)
    return Run(job, driver, threads).run(console)


class IpiLost(Exception):
    """i-PI runs but listens no more: it has to be started again."""


class Run:
    """One run of i-PI and the driver.

    Attributes:
        signal: number of the first signal that asked for an end.
        signals: how many there were; the second one ends all patience.
    """

    def __init__(self, job: Job, driver: Callable[[Path], list[str]], threads: int | None) -> None:
        self.job = job
        self.signal: int | None = None
        self.signals = 0
        self._driver_command = driver
        self._threads = threads
        self._deaths: list[float | None] = []
        timeouts = [e.timeout_s for e in job.endpoints if e.timeout_s > 0]
        self._patience = min(timeouts, default=SILENCE)
        self._sign = self._sign_of_life()
        self._sign_at: float | None = None  # when it was seen to change
        self._woken = threading.Event()

    def run(self, console: Console) -> int:
        """Start both, see them through, sum up."""
        from halfkick.driver.run.progress import Progress

        start = time.monotonic()
        with self._listening(), Progress(self.job, console) as progress:
            failure = self._see_through(progress)
        state = self._state(failure)
        self._sum_up(state, progress, time.monotonic() - start, console)
        if failure:
            log.error("error: %s", failure)
            return FAILED
        return 0 if self.signal is None else 128 + self.signal

    def _see_through(self, progress: Progress) -> str | None:
        """Run the two until the end, from RESTART again whenever i-PI is lost on the way."""
        while True:
            try:
                return self._run_both(progress)
            except IpiLost:
                log.warning("i-PI stopped listening when the driver died; starting it again")
                self.job = prepare(self.job.input, None, restart=True)

    def _run_both(self, progress: Progress) -> str | None:
        """Start both, watch them, end both; return what went wrong, if anything."""
        folder = self.job.folder
        self._sign_at = None
        children = []
        try:
            ipi = Child("i-PI", ipi_command(self.job.xml), folder / "i-pi.log", threads=1)
            children.append(ipi)
            command = self._driver_command(self.job.xml)
            driver = Child("the driver", command, folder / "driver.log", self._threads)
            children.append(driver)
            try:
                return self._watch(ipi, driver, progress)
            except IpiLost:
                driver.stop(grace=0.0)  # i-PI would wait for it, and never write RESTART
                raise
            finally:
                self._end(ipi, driver)
                progress.update(at_once=True)
        finally:
            for child in children:
                child.stop(grace=0.0)
            release(self.job.endpoints)

    def _watch(self, ipi: Child, driver: Child, progress: Progress) -> str | None:
        """Wait until one of the two ends or a signal comes; return what went wrong, if anything.

        Raises:
            IpiLost: if i-PI has to be started again.
        """
        lost = False
        while self.signal is None:
            news = ipi.news()
            lost |= POLL_THREAD_DIED in news
            if ipi.code is not None:
                return _failure(ipi)
            if driver.code is None and (TIMED_OUT in news or self._is_silent()):
                log.warning("no answer within i-PI's <timeout>; raise it if the model is that slow")
                driver.stop(grace=0.0)
            if driver.code is not None:
                # after i-PI's EXIT, and when i-PI dies, the two end within a moment of each other
                ipi.wait(GRACE if driver.code == 0 else 1.0)
                if ipi.code is not None:
                    return _failure(ipi)
                if not self._start_again(driver, progress):
                    return _failure(driver)
            if self._deaths and lost:
                raise IpiLost
            progress.update()
            self._woken.wait(LOOK_EVERY)
        return None

    def _sign_of_life(self) -> int | None:
        """When the driver last touched its journal, ``None`` if never."""
        try:
            return (self.job.folder / "driver.jsonl").stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def _is_silent(self) -> bool:
        """Whether a driver that was heard of gives no sign of life any more."""
        sign, now = self._sign_of_life(), time.monotonic()
        if sign != self._sign:
            self._sign, self._sign_at = sign, now
        return self._sign_at is not None and now - self._sign_at > self._patience

    def _start_again(self, driver: Child, progress: Progress) -> bool:
        """Replace a driver that died: i-PI asks again for what it owed, and nothing is lost.

        A driver that said what is wrong would say it again, and one that dies again and again at
        one step is beyond help.
        """
        progress.update(at_once=True)
        step = None if progress.last is None else progress.last[1]
        self._deaths.append(step)
        if driver.code in REFUSALS or self._deaths.count(step) >= MAX_DEATHS:
            return False
        log.warning("%s; starting another", driver.ending())
        self._sign_at = None
        driver.start()
        return True

    def _end(self, ipi: Child, driver: Child) -> None:
        """Let i-PI write RESTART and tell the driver to end; make them if they do not.

        i-PI cannot end while it waits for an answer that does not come, so the driver goes first
        when patience is over.
        """
        if ipi.code is None:
            ipi.process.terminate()
            self._wait(ipi)
        if ipi.code is None:
            driver.stop(grace=0.0)
            self._wait(ipi, 5.0)
        ipi.stop(grace=0.0)
        if ipi.code == 0:
            self._wait(driver)
        driver.stop(grace=2.0)

    def _wait(self, child: Child, seconds: float = GRACE) -> None:
        """Wait for a child, but not after a second signal."""
        end = time.monotonic() + seconds
        while child.code is None and self.signals < 2 and time.monotonic() < end:
            child.wait(LOOK_EVERY)

    def _state(self, failure: str | None) -> str:
        if failure:
            return "failed"
        try:
            root = ElementTree.parse(self.job.folder / "RESTART").getroot()
        except (OSError, ElementTree.ParseError):
            return "interrupted"
        return "finished" if done_steps(root) >= self.job.total_steps else "interrupted"

    def _sum_up(self, state: str, progress: Progress, wall_s: float, console: Console) -> None:
        from halfkick.driver.run.picture import draw
        from halfkick.driver.run.properties import read_properties
        from halfkick.driver.run.summary import summarize

        folder = self.job.folder
        rows = read_properties(self.job.properties)
        summary = summarize(state, rows, self.job, wall_s=wall_s, pace=progress.pace)
        summary.write(folder / "summary.json")
        draw(rows, self.job.n_atoms, folder.name, folder / "energy.png")
        if len(rows):
            console.print(str(summary), highlight=False)
            if state != "finished":
                name = os.path.relpath(self.job.input)
                console.print(f"to continue: halfkick run {name} --restart", highlight=False)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Take note of signals instead of dying from them."""

        def note(number: int, _frame: object) -> None:
            self.signal = self.signal or number
            self.signals += 1
            self._woken.set()

        numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        if threading.current_thread() is not threading.main_thread():
            numbers = []  # only the main thread may
        before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _failure(child: Child) -> str | None:
    """What went wrong with a child that has ended or should not have; ``None`` if nothing."""
    return None if child.name == "i-PI" and child.code == 0 else child.ending()
