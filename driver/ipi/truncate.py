"""Cuts i-PI's output files back to the step a restart continues from."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from .records import Clock, Unreadable, read_records

__all__ = ["last_step", "truncate"]

NO_CLOCK = Clock()

log = logging.getLogger(__name__)


def truncate(path: Path, step: int, kind: str = "", clock: Clock = NO_CLOCK) -> bool:
    """Drop what ``path`` holds of the steps after ``step``, and a last row or frame cut short.

    Args:
        path: an output of i-PI.
        step: the last one to keep.
        kind: of the output.
        clock: of its rows, where they do not tell their step.

    Returns:
        Whether the file tells its steps; else it is left as it is.
    """
    try:
        end = _end(path, step, kind, clock)
    except Unreadable:
        return False
    if end < path.stat().st_size:
        os.truncate(path, end)
        log.info("cut %s back to step %d", path.name, step)
    return True


def _end(path: Path, step: int, kind: str, clock: Clock) -> int:
    end = 0
    with path.open("rb") as file:
        for number, position in read_records(file, kind, clock):
            if number > step:
                break
            end = position
    return end


def last_step(path: Path, kind: str = "", clock: Clock = NO_CLOCK) -> int | None:
    """The step of the last complete row or frame, -1 without any; ``None`` if it does not tell."""
    try:
        with path.open("rb") as file:
            return max((n for n, _ in read_records(file, kind, clock)), default=-1)
    except Unreadable:
        return None
