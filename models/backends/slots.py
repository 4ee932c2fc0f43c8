"""A cache for each slot, that is, for each bead of each system; the least recently used goes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

__all__ = ["SKIN", "Slots"]

T = TypeVar("T")

SKIN = 1.0
"""Å, of neighbour lists. For liquid water in steps of 0.5 fs anything from 0.5 to 2 is as quick,
and half of none."""

CAPACITY = 256


class Slots(Generic[T]):
    """One neighbour list or the like for each slot, made when it is first asked for.

    Several threads may ask at once, but not for one slot: what belongs to it is of one thread.

    Args:
        make: makes one; called with whether it will be kept.
        capacity: how many to keep; the one used longest ago goes first.
    """

    def __init__(self, make: Callable[[bool], T], capacity: int = CAPACITY) -> None:
        self._make, self.capacity = make, capacity
        self._kept: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()

    def __getitem__(self, slot: Hashable) -> T:
        """Return what belongs to ``slot``; for ``None`` something new."""
        if slot is None:
            return self._make(False)
        with self._lock:
            if slot not in self._kept:
                self._kept[slot] = self._make(True)
                if len(self._kept) > self.capacity:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(slot)
            return self._kept[slot]

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, slot: Hashable) -> bool:
        return slot in self._kept
