"""How far atoms went between two requests of one bead."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from ....models.base import Structure
from .norm import bound, longest

__all__ = ["Moves"]


class Moves:
    """Remembers the last requests for the same atoms, of whatever force field.

    i-PI does not say which bead or system it asks for, and beads go from one connection to another:
    a structure is compared with the nearest of those remembered. As long as they are too few to
    hold every bead, nothing has moved.

    Args:
        remember: how many; three times the beads of all systems, for each force field, hold what
            ring-polymer contraction and scaled coordinates ask for in between, too.
    """

    def __init__(self, remember: int) -> None:
        self._remember = remember
        self._last: dict[Hashable, NDArray[np.float64]] = {}
        self._recent: defaultdict[bytes, deque[NDArray[np.float64]]]
        self.forget()

    def forget(self) -> None:
        """Begin anew, as when i-PI does."""
        self._last.clear()
        self._recent = defaultdict(lambda: deque(maxlen=self._remember))

    def see(self, structures: Sequence[Structure], limit: float) -> list[float]:
        """The longest way of an atom in each structure, Å; a bound if below limit."""
        recent = self._recent[structures[0].numbers.tobytes()]
        places = tuple([structure.slot for structure in structures])
        now = np.array([structure.positions for structure in structures])
        before = self._last.get(places)
        ways = [0.0] * len(structures)
        if len(recent) == self._remember:
            near = before is not None and before.shape == now.shape
            way = bound(now - before) if near else np.inf
            ways = [way] * len(structures)
            if not way <= limit:
                ways = [self._way(structure, recent, limit) for structure in structures]
        self._last[places] = now
        recent.extend(now)
        return ways

    def _way(self, structure: Structure, recent: deque[NDArray[np.float64]], limit: float) -> float:
        """To the nearest structure."""
        nearest = np.inf
        for before in reversed(recent):
            nearest = min(nearest, way_from(structure, before, limit))
            if nearest <= limit:
                break
        return nearest


def way_from(structure: Structure, before: NDArray[np.float64], limit: float) -> float:
    """The longest displacement of an atom; if it may have been wrapped, to the nearest image.

    i-PI has a cell and wraps into it whether or not the template is periodic.
    """
    move = structure.positions - before
    way = bound(move)
    if way <= limit:
        return way
    if np.linalg.det(structure.cell) != 0.0:
        move -= np.round(move @ np.linalg.inv(structure.cell)) @ structure.cell
    return longest(move)
