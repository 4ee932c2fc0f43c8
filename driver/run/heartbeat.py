"""The heartbeat of the driver: it touches its journal every second."""

from __future__ import annotations

import time

from .job import Job

__all__ = ["Heartbeat"]

MAX_SILENCE_S = 60.0  # of a driver, where the input has no <timeout>


class Heartbeat:
    """Watches the journal of a job.

    A driver counts from its first touch on: loading a model may take longer than any patience.
    """

    def __init__(self, job: Job) -> None:
        self._journal = job.files.journal
        timeouts = [s.timeout_s for s in job.sockets if s.timeout_s > 0]
        self._max_silence_s = min(timeouts, default=MAX_SILENCE_S)
        self.restart()

    def restart(self) -> None:
        """Begin with a driver that was not heard of yet."""
        self._last_beat = self._touched_ns()
        self._heard_at: float | None = None

    def is_lost(self) -> bool:
        """Whether a driver that was heard of has been silent for too long."""
        beat, now = self._touched_ns(), time.monotonic()
        if beat != self._last_beat:
            self._last_beat, self._heard_at = beat, now
        return self._heard_at is not None and now - self._heard_at > self._max_silence_s

    def _touched_ns(self) -> int | None:
        try:
            return self._journal.stat().st_mtime_ns
        except FileNotFoundError:
            return None
