"""The supervisor of i-PI and the driver: it replaces what dies or hangs, ends both, sums up."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import InputError
from ..ipi.input import IpiInput
from .addresses import release
from .heartbeat import Heartbeat
from .job import Job, prepare
from .outcome import Ending, describe_found, find
from .processes import Child, Machine, driver_command, ipi_command

if TYPE_CHECKING:
    from rich.console import Console

    from ..ipi.properties import Properties
    from .progress import Progress

__all__ = ["Supervisor"]

log = logging.getLogger(__name__)

LOOK_INTERVAL_S = 0.1
GRACE_S = 20.0  # for i-PI to write RESTART, and for a driver to end after i-PI
FAILED = 1
REFUSALS = (0, 2, 3)  # exit codes of a driver that ended on purpose
REFUSED = (2, 3)  # those with which nothing can go on as it is
MAX_DEATHS = 3  # at one step
POLL_THREAD_DIED = "Exception in thread poll_"
"""What i-PI says when a connection was reset, as when a driver is killed with a request unread in
its socket; it then hangs."""
LOST = f"i-PI stopped listening {MAX_DEATHS} times at one step; see i-pi.log"
TIMED_OUT = "Timeout!"
"""What i-PI says when a driver let its ``<timeout>`` pass and was dropped."""


class IpiLost(Exception):
    """i-PI runs but listens no more: it has to be started again."""


class Supervisor:
    """One run of i-PI and the driver.

    Attributes:
        signal: number of the first signal that asked for an end.
        signals: how many there were; the second one ends patience with the driver.
    """

    def __init__(self, job: Job, machine: Machine) -> None:
        self.job = job
        self.signal: int | None = None
        self.signals = 0
        self._machine = machine
        self._drivers = 0  # started
        self._ending = Ending()  # what i-PI said
        self._is_refused = False  # what cannot go on as it is
        self._deaths: list[float | None] = []
        self._heartbeat = Heartbeat(job)
        self._woken = threading.Event()

    def run(self, console: Console) -> int:
        """Start both, see them through, sum up."""
        from ..ipi.properties import read_properties
        from .progress import Progress

        start = time.monotonic()
        with self._listening(), Progress(self.job, console) as progress:
            failure = self._see_through(progress)
        rows = [read_properties(system.properties) for system in self.job.systems]
        faults = [of_one.fault for of_one in rows if of_one.fault is not None]
        failure = failure or next(iter(faults), None)
        done = self._steps_done()
        state = self._state(failure, done)
        try:
            self._sum_up(state, done, rows, progress, time.monotonic() - start, console)
        except OSError as error:  # a full disk, a closed terminal; the run itself has ended well
            failure = failure or f"cannot sum up the run: {error}"
        if failure:
            log.error("error: %s", failure)
            return FAILED
        return 0 if self.signal is None else 128 + self.signal

    def _see_through(self, progress: Progress) -> str | None:
        """Run the two until the end, from RESTART again whenever i-PI is lost on the way."""
        while self.signal is None:
            try:
                return self._run_both(progress)
            except IpiLost:
                log.warning("i-PI stopped listening when a connection was lost; starting it again")
                self.job = prepare(self.job.input, self.job.total_steps, restart=True)
        return None

    def _run_both(self, progress: Progress) -> str | None:
        """Start both, watch them, end both; return what went wrong, if anything."""
        files = self.job.files
        self._heartbeat.restart()
        children = []
        try:
            # a network in i-PI's process works while the driver waits
            stepper = None if self.job.source.flash is None else self._machine
            command = ipi_command(self.job.xml, self.job.folder, stepper)
            threads = 1 if stepper is None else stepper.threads
            ipi = Child("i-PI", command, files.ipi_log, threads, batch=True)
            children.append(ipi)
            command = driver_command(self.job.xml, self.job.folder, self._machine)
            driver = Child("the driver", command, files.driver_log, self._machine.threads)
            children.append(driver)
            self._drivers += 1
            try:
                return self._watch(ipi, driver, progress)
            except IpiLost:
                driver.stop(grace=0.0)  # i-PI would wait for it, and never write RESTART
                raise
            finally:
                self._end(ipi, driver)
                self._ending = Ending.read(ipi.last_output())
                self._is_refused = driver.code in REFUSED or bool(ipi.code and ipi.code > 0)
                progress.update(at_once=True)
        finally:
            for child in children:
                child.stop(grace=0.0)
            release(self.job.sockets)

    def _watch(self, ipi: Child, driver: Child, progress: Progress) -> str | None:
        """Wait until one of the two ends or a signal comes; return what went wrong, if anything.

        Raises:
            IpiLost: if i-PI has to be started again.
        """
        lost = False
        while self.signal is None:
            output = ipi.new_output()
            lost |= POLL_THREAD_DIED in output
            if ipi.code is not None:
                return self._failure(ipi)
            if driver.code is None and (TIMED_OUT in output or self._heartbeat.is_lost()):
                log.warning("no answer within i-PI's <timeout>; raise it if the model is that slow")
                driver.stop(grace=0.0)
            if lost:  # a driver that says why it ended does so within a moment
                driver.wait(1.0)
            if driver.code is not None:
                # after i-PI's EXIT, and when i-PI dies, the two end within a moment of each other
                ipi.wait(GRACE_S if driver.code == 0 else 1.0)
                if ipi.code is not None:
                    return self._failure(ipi)
            if driver.code is not None or lost:
                if driver.code in REFUSALS or self._is_hopeless(progress):
                    failure = LOST if driver.code is None else driver.ending()
                    return _at(progress) + failure
                if lost:
                    raise IpiLost
                self._start_again(driver)
            progress.update()
            if progress.fault is not None:
                return progress.fault
            self._woken.wait(LOOK_INTERVAL_S)
        return None

    def _is_hopeless(self, progress: Progress) -> bool:
        """Take note of a death; whether there were so many at this step that another is to come."""
        progress.update(at_once=True)
        step = None if progress.last is None else progress.last[1]
        self._deaths.append(step)
        return self._deaths.count(step) >= MAX_DEATHS

    def _start_again(self, driver: Child) -> None:
        """Replace a driver that died: i-PI asks again for what it owed, and nothing is lost."""
        log.warning("%s; starting another", driver.ending())
        self._heartbeat.restart()
        driver.start()
        self._drivers += 1

    def _end(self, ipi: Child, driver: Child) -> None:
        """Let i-PI write RESTART and tell the driver to end; make them if they do not.

        i-PI cannot end while it waits for an answer that does not come, so the driver goes first
        when patience is over: after a while or a second signal. A third one leaves no RESTART.
        """
        if ipi.code is None:
            ipi.process.terminate()
            self._wait(ipi)
        if ipi.code is None:
            driver.stop(grace=0.0)
            self._wait(ipi, 5.0, signals=3)
        ipi.stop(grace=0.0)
        if ipi.code == 0:
            self._wait(driver)
        driver.stop(grace=2.0)

    def _wait(self, child: Child, seconds: float = GRACE_S, signals: int = 2) -> None:
        """Wait for a child, but not after so many signals."""
        end = time.monotonic() + seconds
        while child.code is None and self.signals < signals and time.monotonic() < end:
            child.wait(LOOK_INTERVAL_S)

    def _failure(self, ipi: Child) -> str | None:
        """What went wrong with i-PI, which has ended; ``None`` if nothing."""
        if ipi.code != 0:
            return ipi.ending()
        ending = Ending.read(ipi.last_output())
        return f"i-PI: {ending.message}; see {ipi.log}" if ending.is_problem else None

    def _state(self, failure: str | None, done: int) -> str:
        if failure:
            return "failed"
        is_finished = done >= self.job.total_steps or self._ending.is_of_motion
        return "finished" if is_finished and done else "interrupted"

    def _steps_done(self) -> int:
        """As RESTART has it; 0 if there is none."""
        try:
            return IpiInput.read(self.job.files.restart).step
        except InputError:
            return 0

    def _sum_up(
        self,
        state: str,
        done: int,
        rows: Sequence[Properties],
        progress: Progress,
        wall_s: float,
        console: Console,
    ) -> None:
        from .plot import draw_energies
        from .summary import summarize
        from .systems import names_of

        folder, files = self.job.folder, self.job.files
        systems = self.job.systems
        summary = summarize(
            state, rows, self.job, wall_s=wall_s, pace=progress.pace, drivers=self._drivers
        )
        if summary.steps is None:
            summary = replace(summary, steps=done)
        if state == "finished" and self._ending.is_of_motion:
            summary = replace(summary, found=find(self.job, self._ending))
        summary.write(files.summary)
        lacking = self.job.source.without_energy
        title = folder.name if lacking is None else f"{folder.name} (energies without '{lacking}')"
        shown = zip(rows, (system.n_atoms for system in systems), strict=True)
        draw_energies(dict(zip(names_of(systems), shown, strict=True)), title, files.energy_plot)
        if any(map(len, rows)) or done:
            console.print(str(summary), highlight=False)
        if summary.found is not None:
            console.print(describe_found(summary.found), highlight=False)
        if state != "finished" and done and not self._is_refused:
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


def _at(progress: Progress) -> str:
    """When it was, as far as the outputs tell."""
    progress.update(at_once=True)
    return "" if progress.last is None else f"after step {progress.last[1]:.0f} "
