"""Threads and memory of the model's process beside i-PI."""

from __future__ import annotations

import logging
import os

from ..models.backends.malloc import keep_memory

__all__ = ["configure_threads"]

log = logging.getLogger(__name__)

SPIN_COUNT = "10000"
"""Rounds for which a thread of GNU's OpenMP looks out for work before it sleeps: about 0.1 ms."""


def configure_threads(threads: int | None) -> None:
    """Choose the number of threads, before torch or any other library starts them, and say so.

    Memory that was used once is kept: see :func:`keep_memory`.

    Threads that wait for work soon sleep. By default they spin for milliseconds, which takes the
    core away from i-PI when its turn comes: two threads on two busy cores make an evaluation ten
    times as long. Those that sleep at once wake too late between the many small operations of a
    model, which then takes a tenth longer.

    Args:
        threads: how many; ``None`` for ``OMP_NUM_THREADS``, or else one for each core.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = str(threads or os.environ.get("OMP_NUM_THREADS") or cores or 1)
    os.environ["OMP_NUM_THREADS"] = count
    waiting = os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if waiting.upper() == "PASSIVE":
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    keep_memory()
    log.info("CPU threads: %s on %s cores, %s while they wait", count, cores, waiting.lower())
