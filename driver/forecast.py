"""Foresees which direct requests will be followed by a conservative one at the same positions.

Under multiple time stepping the last direct request of an outer step comes at exactly the
positions of the conservative request after it. The requests to a direct force field therefore
repeat: so many of them, some of which are then asked again with conservative forces. When two
outer steps have shown the same pattern, the next is expected to follow it.
"""

from __future__ import annotations

from collections.abc import Hashable

from halfkick.models.base import ForceResult

__all__ = ["Forecast"]

LONGEST = 1 << 14


class Forecast:
    """The pattern of one direct force field, and the conservative forces kept in view of it.

    An outer step is the direct requests between two runs of conservative ones; its pattern is
    their number and which of them were matched.

    Attributes:
        wasted: results that were kept and never asked for.
    """

    def __init__(self) -> None:
        self.wasted = 0
        self._kept: dict[Hashable, ForceResult] = {}
        self._places: dict[int, int] = {}  # by hash: a collision costs time, nothing else
        self._matched: set[int] = set()
        self._last: tuple[int, frozenset[int]] | None = None
        self._expected: tuple[int, frozenset[int]] | None = None

    def direct(self, key: Hashable) -> bool:
        """Note a direct request; True if a conservative one is expected at the same structure."""
        if self._matched or len(self._places) > LONGEST:
            self._begin()
        place = self._places.setdefault(hash(key), len(self._places))
        if self._expected is None:
            return False
        length, matched = self._expected
        if place >= length:  # the pattern is broken
            self._expected = self._last = None
            return False
        return place in matched

    def conservative(self, key: Hashable) -> bool:
        """Note a conservative request; True if a direct one came before it."""
        place = self._places.get(hash(key))
        if place is not None:
            self._matched.add(place)
        return place is not None

    def keep(self, key: Hashable, result: ForceResult) -> None:
        """Keep conservative forces until they are asked for or the next outer step begins."""
        self._kept[key] = result

    def take(self, key: Hashable) -> ForceResult | None:
        """Conservative forces for exactly this structure, if they were kept."""
        return self._kept.pop(key, None)

    def _begin(self) -> None:
        """Begin an outer step, and learn from the one that has ended."""
        pattern = len(self._places), frozenset(self._matched)
        self._expected = pattern if pattern == self._last else None
        self._last = pattern
        self._places.clear()
        self._matched.clear()
        self.wasted += len(self._kept)
        self._kept.clear()
