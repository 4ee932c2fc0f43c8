"""The number of structures to evaluate in one pass, found by timing."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from typing import TypeVar

__all__ = ["BatchSize", "is_out_of_memory", "split_evenly"]

T = TypeVar("T")

log = logging.getLogger("halfkick")

TIMED_PASSES = 5
"""Passes to time at each of two sizes in turn, after a first one in which the device gets used to
it. In turn, since a machine that others use is quicker at one time than at another."""

MAX_TIME_RATIO = 0.95
"""The larger size must bring the time per structure below this part of the smaller one's."""


class BatchSize:
    """The size that is quickest for one model, device and kind of structure.

    Each of the sizes 1, 2, 4, … is compared with one twice as large, as far as there are structures
    for it, until the double is no quicker. A batch of large structures fills a GPU, and on a CPU
    falls out of its caches.

    Args:
        size: the size to stay with; ``None`` to try.

    Attributes:
        size: what is used, or the smaller of the two that are compared at present.
        settled: whether nothing is tried any more.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size or 1
        self.settled = size is not None
        self._times_s: deque[float] = deque(maxlen=1 + TIMED_PASSES)
        self._double_times_s: deque[float] = deque(maxlen=1 + TIMED_PASSES)

    def next_size(self, count: int) -> int:
        """How many to take next of ``count`` that are left, in even parts."""
        tries_double = not self.settled and len(self._double_times_s) < len(self._times_s)
        passes = -(-count // (2 * self.size if tries_double else self.size))
        return -(-count // passes)

    def record(self, count: int, seconds: float) -> None:
        """Learn how long a pass of ``count`` structures took."""
        if self.settled or 2 * count <= self.size:
            return
        (self._double_times_s if count > self.size else self._times_s).append(seconds / count)
        if min(len(self._times_s), len(self._double_times_s)) <= TIMED_PASSES:
            return
        if shortest(self._double_times_s) < MAX_TIME_RATIO * shortest(self._times_s):
            self.size *= 2
        else:
            self.settled = True
        self._times_s.clear()
        self._double_times_s.clear()

    def halve(self, count: int) -> None:
        """Never again take as many as ``count``: there was no memory for them."""
        self.size, self.settled = max(count // 2, 1), True
        log.warning("warning: no memory for %d structures at once; trying %d", count, self.size)


def shortest(times_s: Iterable[float]) -> float:
    """The shortest time but the first."""
    return min(islice(times_s, 1, None))


def split_evenly(structures: Sequence[T], parts: int) -> list[Sequence[T]]:
    """Cut into even parts, none of them empty unless there are no structures."""
    count = max(1, min(parts, len(structures)))
    cuts = [len(structures) * i // count for i in range(count + 1)]
    return [structures[a:b] for a, b in pairwise(cuts)]


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error was for want of memory, on a GPU or a CPU.

    TorchScript leaves only the words of it.
    """
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text
