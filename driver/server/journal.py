"""A log of a run as it goes: JSON lines, one for every so many corrections."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Journal", "memory_MB"]


class Journal:
    """Appends a line to a file now and then.

    A line holds ``time`` (s since 1970), ``corrections`` (conservative requests so far),
    ``ms_per_correction`` (since the last line, i-PI included), ``driver_share`` (of that time that
    i-PI had to wait for the driver, the model included), ``memory_MB`` (resident), and what else
    is given.

    Args:
        path: where to write.
        stride: conservative requests between two lines.
    """

    def __init__(self, path: Path, stride: int) -> None:
        self._path, self._stride = path, stride
        self._corrections = self._written = 0
        self._busy = 0.0
        self._last = time.perf_counter()

    def worked(self, seconds: float) -> None:
        """Add to the time spent in answering."""
        self._busy += seconds

    def is_due(self, corrections: int) -> bool:
        """Count conservative requests; whether it is time for a line."""
        self._corrections += corrections
        return corrections > 0 and self._corrections - self._written >= self._stride

    def write(self, state: Mapping[str, Any]) -> None:
        """Write a line."""
        now = time.perf_counter()
        passed, count = now - self._last, self._corrections - self._written
        line = {
            "time": round(time.time(), 3),
            "corrections": self._corrections,
            "ms_per_correction": round(1e3 * passed / count, 3),
            "driver_share": round(self._busy / passed, 4),
            "memory_MB": memory_MB(),
            **state,
        }
        self._last, self._written, self._busy = now, self._corrections, 0.0
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def memory_MB() -> float:
    """Resident memory of this process in 10⁶ bytes; its peak where the system tells no more."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return round(pages * resource.getpagesize() / 1e6, 1)
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return round(peak / 1e6 if sys.platform == "darwin" else peak / 1e3, 1)
