"""How many structures to evaluate in one pass, found by trying."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from typing import TypeVar

__all__ = ["ChunkSize", "divide", "is_out_of_memory"]

T = TypeVar("T")

log = logging.getLogger("halfkick")

TRIES = 5
"""Passes to time at each of two sizes in turn, after a first one in which the device gets used to
it. In turn, since a machine that others use is quicker at one time than at another."""

GAIN = 0.95
"""The larger size must bring the time per structure below this part of the smaller one's."""


class ChunkSize:
    """The size that is quickest for one model, device and kind of structure.

    Each of the sizes 1, 2, 4, … has a rival twice as large, as far as there are structures for it,
    until the rival is no quicker. A batch of large structures fills a GPU, and on a CPU falls out
    of its caches.

    Args:
        size: the size to stay with; ``None`` to try.

    Attributes:
        size: what is used, or the smaller of the two that are tried at present.
        settled: whether nothing is tried any more.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size or 1
        self.settled = size is not None
        self._times_s: deque[float] = deque(maxlen=1 + TRIES)
        self._rivals_s: deque[float] = deque(maxlen=1 + TRIES)

    def of(self, count: int) -> int:
        """How many to take next of ``count`` that are left, in even parts."""
        rivals_turn = not self.settled and len(self._rivals_s) < len(self._times_s)
        passes = -(-count // (2 * self.size if rivals_turn else self.size))
        return -(-count // passes)

    def note(self, count: int, seconds: float) -> None:
        """Learn how long a pass of ``count`` structures took."""
        if self.settled or 2 * count <= self.size:
            return
        (self._rivals_s if count > self.size else self._times_s).append(seconds / count)
        if min(len(self._times_s), len(self._rivals_s)) <= TRIES:
            return
        if quickest(self._rivals_s) < GAIN * quickest(self._times_s):
            self.size *= 2
        else:
            self.settled = True
        self._times_s.clear()
        self._rivals_s.clear()

    def halve(self, count: int) -> None:
        """Never again take as many as ``count``: there was no memory for them."""
        self.size, self.settled = max(count // 2, 1), True
        log.warning("warning: no memory for %d structures at once; trying %d", count, self.size)


def quickest(times_s: Iterable[float]) -> float:
    """The shortest time but the first."""
    return min(islice(times_s, 1, None))


def divide(structures: Sequence[T], parts: int) -> list[Sequence[T]]:
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
