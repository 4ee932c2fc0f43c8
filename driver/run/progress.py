"""The progress of a run, from i-PI's properties file as it grows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column

from ..ipi.properties import Properties, read_last
from .job import Job
from .wording import temperatures, went

__all__ = ["Progress"]

LOOK_INTERVAL_S = 0.5  # between two looks into the file
LINE_INTERVAL_S = 10.0  # between two lines where there is no terminal to draw a bar on
SECONDS_PER_DAY = 86400.0


class Progress:
    """A bar on a terminal, a line now and then elsewhere.

    Attributes:
        first: when a row of all systems was first seen, and its step: from here on i-PI and model
            work.
        last: the same of the last ones seen.
        fault: what is no number in them, if something is.
    """

    def __init__(self, job: Job, console: Console) -> None:
        self.first: tuple[float, float] | None = None
        self.last: tuple[float, float] | None = None
        self.fault: str | None = None
        self._job = job
        self._console = console
        self._start: Sequence[Properties] = ()
        self._looked = self._printed = float("-inf")
        self._bar = Bar(
            TextColumn("{task.completed:.0f}/{task.total}"),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(
            "", total=job.total_steps, completed=job.step, state="starting"
        )

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # a terminal that was closed is no matter for the run
            self._bar.stop()

    @property
    def pace(self) -> tuple[float, float] | None:
        """Seconds and outer steps between the first and the last row seen; ``None`` if one is."""
        if self.first is None or self.last is None or self.last[1] <= self.first[1]:
            return None
        return self.last[0] - self.first[0], self.last[1] - self.first[1]

    def update(self, *, at_once: bool = False) -> None:
        """Look whether there is a new row, and show it."""
        now = time.monotonic()
        if not at_once and now - self._looked < LOOK_INTERVAL_S:
            return
        self._looked = now
        rows = [read_last(system.properties) for system in self._job.systems]
        steps = [float(row.step[-1]) for row in rows if row.step is not None]
        if len(steps) < len(rows) or (self.last is not None and min(steps) <= self.last[1]):
            return
        step = min(steps)
        if self._job.restarted and self.first is None and step <= self._job.step:
            return  # of the run before
        self.fault = next((row.fault for row in rows if row.fault is not None), None)
        self.last = now, step
        if self.first is None:
            self.first, self._start = self.last, rows
        state = self._describe(rows, now - self.first[0])
        self._bar.update(self._task, completed=step, state=state)
        if not self._console.is_terminal and now - self._printed >= LINE_INTERVAL_S:
            self._printed = now
            done = f"{step:.0f}/{self._job.total_steps} steps"
            with suppress(OSError):
                self._console.print(f"{done}  {state}", highlight=False)

    def _describe(self, rows: Sequence[Properties], seconds: float) -> str:
        """Time, speed, temperatures and how far the conserved quantities have gone.

        Args:
            rows: the last one of each system.
            seconds: between the first row seen and this one.
        """
        parts = []
        time_ps, started_ps = rows[0].time, self._start[0].time
        if time_ps is not None and started_ps is not None:
            parts.append(f"{time_ps[-1]:.3f} ps")
            if seconds > 0:
                pace = (time_ps[-1] - started_ps[-1]) / seconds
                parts.append(f"{pace * SECONDS_PER_DAY:.0f} ps/day")
        systems = self._job.systems
        parts += filter(None, (temperatures(rows, systems), went(self._start, rows, systems)))
        return "  ".join(parts)
