"""The progress of a run, from i-PI's properties file as it grows."""

from __future__ import annotations

import time
from contextlib import suppress
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column

from ..ipi.properties import Properties, read_last
from .job import Job

__all__ = ["Progress"]

LOOK_INTERVAL_S = 0.5  # between two looks into the file
LINE_INTERVAL_S = 10.0  # between two lines where there is no terminal to draw a bar on
SECONDS_PER_DAY = 86400.0


class Progress:
    """A bar on a terminal, a line now and then elsewhere.

    Attributes:
        first: when the first row was seen, and its step: from here on i-PI and model work.
        last: the same of the last row seen.
        fault: what is no number in it, if something is.
    """

    def __init__(self, job: Job, console: Console) -> None:
        self.first: tuple[float, float] | None = None
        self.last: tuple[float, float] | None = None
        self.fault: str | None = None
        self._job = job
        self._console = console
        self._start = Properties()
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
        row = read_last(self._job.properties)
        if row.step is None or (self.last is not None and row.step[-1] <= self.last[1]):
            return
        if self._job.restarted and self.first is None and row.step[-1] <= self._job.step:
            return  # of the run before
        self.fault = row.fault
        self.last = last = now, float(row.step[-1])
        if self.first is None:
            self.first, self._start = last, row
        state = self._describe(row, last[0] - self.first[0])
        self._bar.update(self._task, completed=row.step[-1], state=state)
        if not self._console.is_terminal and now - self._printed >= LINE_INTERVAL_S:
            self._printed = now
            steps = f"{row.step[-1]:.0f}/{self._job.total_steps} steps"
            with suppress(OSError):
                self._console.print(f"{steps}  {state}", highlight=False)

    def _describe(self, row: Properties, seconds: float) -> str:
        """Time, speed, temperature and how far the conserved quantity has gone.

        Args:
            row: the last one.
            seconds: between the first row seen and this one.
        """
        parts = []
        if row.time is not None and self._start.time is not None:
            parts.append(f"{row.time[-1]:.3f} ps")
            if seconds > 0:
                pace = (row.time[-1] - self._start.time[-1]) / seconds
                parts.append(f"{pace * SECONDS_PER_DAY:.0f} ps/day")
        if row.temperature is not None:
            parts.append(f"{row.temperature[-1]:.0f} K")
        conserved, start, job = row.conserved, self._start.conserved, self._job
        if conserved is not None and start is not None and not job.without_energy and job.n_atoms:
            change = (conserved[-1] - start[-1]) / job.n_atoms * 1e3
            parts.append(f"drift {change:+.2f} meV/atom")
        return "  ".join(parts)
