"""Whether the driver still gives signs of life: it touches its journal every second."""

from __future__ import annotations

import time

from .job import Job

__all__ = ["Pulse"]

SILENCE = 60.0  # s that a driver may be silent, where the input has no <timeout>


class Pulse:
    """Watches the journal of a job.

    A driver counts from its first touch on: loading a model may take longer than any patience.
    """

    def __init__(self, job: Job) -> None:
        self._journal = job.files.journal
        timeouts = [s.timeout_s for s in job.sockets if s.timeout_s > 0]
        self._patience = min(timeouts, default=SILENCE)
        self.restart()

    def restart(self) -> None:
        """Begin with a driver that was not heard of yet."""
        self._beat = self._last_touch()
        self._heard_at: float | None = None

    def is_gone(self) -> bool:
        """Whether a driver that was heard of has been silent for too long."""
        beat, now = self._last_touch(), time.monotonic()
        if beat != self._beat:
            self._beat, self._heard_at = beat, now
        return self._heard_at is not None and now - self._heard_at > self._patience

    def _last_touch(self) -> int | None:
        try:
            return self._journal.stat().st_mtime_ns
        except FileNotFoundError:
            return None
