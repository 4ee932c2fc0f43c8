"""How many structures to evaluate in one pass, found by trying."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

__all__ = ["ChunkSize", "divide"]

T = TypeVar("T")

log = logging.getLogger("halfkick")

TRIES = 3
"""Passes to time at each size, after a first one in which the device gets used to it."""

GAIN = 0.95
"""The next size must bring the time per structure below this part of the one before."""


class ChunkSize:
    """The size that is quickest for one model, device and kind of structure.

    Sizes 1, 2, 4, … are tried as far as there are structures for them, until a larger one is no
    quicker. A batch of large structures fills a GPU, and on a CPU falls out of its caches.

    Args:
        size: the size to stay with; ``None`` to try.

    Attributes:
        size: what is used or tried at present.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size or 1
        self._settled = size is not None
        self._times_s: list[float] = []
        self._before_s = float("inf")

    def of(self, count: int) -> int:
        """How many to take next of ``count`` that are left, in even parts."""
        passes = -(-count // self.size)
        return -(-count // passes)

    def note(self, count: int, seconds: float) -> None:
        """Learn how long a pass of ``count`` structures took."""
        if self._settled or 2 * count <= self.size:
            return
        self._times_s.append(seconds / count)
        if len(self._times_s) <= TRIES:
            return
        best_s = min(self._times_s[1:])
        if best_s < GAIN * self._before_s:
            self.size *= 2
            self._before_s = best_s
        else:
            self._settle(self.size // 2)
        self._times_s.clear()

    def halve(self, count: int) -> None:
        """Never again take as many as ``count``: there was no memory for them."""
        self._settle(max(count // 2, 1))
        log.warning("warning: no memory for %d structures at once; trying %d", count, self.size)

    def _settle(self, size: int) -> None:
        self.size = size
        self._settled = True


def divide(structures: Sequence[T], parts: int) -> list[Sequence[T]]:
    """Cut into even parts, none of them empty unless there are no structures."""
    count = max(1, min(parts, len(structures)))
    cuts = [len(structures) * i // count for i in range(count + 1)]
    return [structures[a:b] for a, b in pairwise(cuts)]
