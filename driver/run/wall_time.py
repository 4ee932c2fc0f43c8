"""How long a run had taken at each of its steps, from what i-PI and ``halfkick run`` noted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .job import Job

__all__ = ["WallTime", "read_wall_time"]

TIMING = re.compile(r"Average timings at MD step\s+(\d+)\. t/step:\s*(\S+)")
"""A line of i-PI's log: the mean time of the outer steps since the last such line."""


@dataclass(frozen=True, eq=False)
class WallTime:
    """Time since the first step began; starting i-PI and loading the model are left out.

    Attributes:
        steps: outer steps done, ascending from 0, shape (k,).
        seconds: at each of them, shape (k,).
    """

    steps: NDArray[np.float64]
    seconds: NDArray[np.float64]

    def at(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Seconds at these steps, linear between those known."""
        return np.interp(steps, self.steps, self.seconds)


def read_wall_time(job: Job, last_step: float) -> WallTime | None:
    """Read it; ``None`` if nothing tells it: i-PI was started by hand, and its log is elsewhere.

    i-PI notes a time at every 100th step (1000th where its verbosity is ``low``). Steps before the
    first note of a restart count as long as those of that note; steps after the last one as long as
    a step of the whole run, or, while that goes on, as those of the last note.

    Args:
        job: the run.
        last_step: to which it is wanted.
    """
    averages = _averages(job)
    pace = _mean_pace(job) or (averages[max(averages)] if averages else None)
    if pace is None:
        return None
    steps, seconds = [0.0], [0.0]
    for done in sorted(step for step in averages if step <= last_step):
        seconds.append(seconds[-1] + averages[done] * (done - steps[-1]))
        steps.append(float(done))
    if last_step > steps[-1]:
        seconds.append(seconds[-1] + pace * (last_step - steps[-1]))
        steps.append(last_step)
    return WallTime(np.array(steps), np.array(seconds))


def _averages(job: Job) -> dict[int, float]:
    """Steps done -> seconds of a step before; of steps that were repeated the last ones count."""
    if not job.files.ipi_log.is_file():
        return {}
    said = job.files.ipi_log.read_text(errors="replace")
    # i-PI counts from 0
    return {int(step) + 1: float(seconds) for step, seconds in TIMING.findall(said)}


def _mean_pace(job: Job) -> float | None:
    """Seconds of an outer step as the summary has them."""
    if not job.files.summary.is_file():
        return None
    ms = json.loads(job.files.summary.read_text())["ms_per_inner_step"]
    return None if ms is None else 1e-3 * ms * job.inner_steps
