"""Foresees which direct requests will be followed by a conservative one at the same positions.

Under multiple time stepping the last direct request of an outer step comes at exactly the
positions of the conservative request after it. The requests to a direct force field therefore
repeat: so many of them, some of which are then asked again with conservative forces. When two
outer steps have shown the same pattern, the next is expected to follow it. Where i-PI's input is
at hand, the pattern is expected from the start, until it turns out to be another.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from ...models.base import ForceResult, Role

__all__ = ["Forecast", "Pattern", "regular"]

LONGEST = 1 << 14

Pattern = tuple[int, frozenset[int]]
"""The number of direct requests in an outer step, and which of them a conservative one follows."""


def regular(inner_steps: int, replicas: int) -> Pattern:
    """The pattern of plain multiple time stepping: the last inner step of all beads."""
    length = inner_steps * replicas
    return length, frozenset(range(length - replicas, length))


class Forecast:
    """The pattern of one direct force field, and the conservative forces kept in view of it.

    An outer step is the direct requests between two runs of conservative ones.

    Args:
        given: the pattern to expect as long as none was learned.

    Attributes:
        wasted: results that were kept and never asked for.
    """

    def __init__(self, given: Pattern | None = None) -> None:
        self.wasted = 0
        self._given = given
        self._kept: dict[Hashable, Mapping[Role, ForceResult]] = {}
        self._places: dict[int, int] = {}  # by hash: a collision costs time, nothing else
        self._matched: set[int] = set()
        self._last: Pattern | None = None
        self._expected = given

    def direct(self, key: Hashable) -> bool:
        """Note a direct request; True if a conservative one is expected at the same structure."""
        place = self._places.get(hash(key))
        if place is None:
            if self._matched or len(self._places) > LONGEST:
                self._begin()
            place = self._places[hash(key)] = len(self._places)
        if self._expected is None:
            return False
        length, matched = self._expected
        if place >= length:  # the pattern is broken
            self._expected = self._last = self._given = None
            return False
        return place in matched

    def conservative(self, key: Hashable) -> bool:
        """Note a conservative request; True if a direct one came before it."""
        place = self._places.get(hash(key))
        if place is not None:
            self._matched.add(place)
        return place is not None

    def keep(self, key: Hashable, results: Mapping[Role, ForceResult]) -> None:
        """Keep results until they are asked for or the next outer step begins."""
        self._kept[key] = results

    def take(self, key: Hashable) -> Mapping[Role, ForceResult] | None:
        """The results for exactly this structure, if they were kept."""
        return self._kept.pop(key, None)

    def _begin(self) -> None:
        """Begin an outer step, and learn from the one that has ended."""
        pattern = len(self._places), frozenset(self._matched)
        if self._kept:  # in vain
            self._given = None
        self._expected = pattern if pattern == self._last else self._given
        self._last = pattern
        self._places.clear()
        self._matched.clear()
        self.wasted += len(self._kept)
        self._kept.clear()
