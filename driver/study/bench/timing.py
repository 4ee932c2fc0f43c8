"""Things that can be timed, and timing them turn by turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

__all__ = ["Statistics", "Timed", "interleave"]


class Timed(Protocol):
    """Something that takes time.

    Attributes:
        name: unique among those that are timed together.
    """

    name: str

    def measure(self) -> list[float]:
        """Do it once more; the times of its repetitions in ms."""


@dataclass(frozen=True)
class Statistics:
    """Median and quartiles of some times in ms, and how many they were."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Statistics:
        """Summarize values, of which there is at least one."""
        low, median, high = np.percentile(values, [25, 50, 75])
        return cls(float(median), float(low), float(high), len(values))

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def interleave(
    timed: Sequence[Timed], repeats: int, say: Callable[[str], None]
) -> dict[str, list[float]]:
    """Measure all in turn, ``repeats`` times, so that what disturbs them disturbs all alike."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    for repeat in range(repeats):
        for one in timed:
            say(f"{one.name} ({repeat + 1}/{repeats})")
            times[one.name] += one.measure()
    return dict(times)
