"""Displacement of atoms between two requests of one bead."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from ....models.base import Structure
from ..limits import max_norm, max_norm_bound
from ..places import to_nearest_image, upright

__all__ = ["DisplacementMonitor"]


class DisplacementMonitor:
    """Remembers the last requests for the same atoms, of whatever force field.

    i-PI does not say which bead or system it asks for: a structure is compared with the last of its
    place, and if that is far away with the nearest of those remembered. As long as they are too few
    to hold every bead, nothing has moved. Turned copies of a structure count as that structure.

    Args:
        remember: how many; three times the beads of all systems, for each force field, hold what
            ring-polymer contraction and scaled coordinates ask for in between, too.
    """

    def __init__(self, remember: int) -> None:
        self._remember = remember
        self._last: dict[Hashable, NDArray[np.float64]] = {}
        self._recent: defaultdict[bytes, deque[NDArray[np.float64]]]
        self.reset()

    def reset(self) -> None:
        """Begin anew, as when i-PI does."""
        self._last.clear()
        self._recent = defaultdict(lambda: deque(maxlen=self._remember))

    def update(self, structures: Sequence[Structure], limit: float) -> list[float]:
        """Remember structures, and compare them with those before.

        Args:
            structures: B of the same atoms.
            limit: in Å; displacements below it need not be exact.

        Returns:
            For each structure the largest displacement of an atom, Å; a bound if below ``limit``.
        """
        recent = self._recent[structures[0].numbers.tobytes()]
        slots = tuple([structure.slot for structure in structures])
        turned = [upright(structure.positions, structure.cell) for structure in structures]
        positions = np.array([own for own, _ in turned])
        before = self._last.get(slots)
        displacements = [0.0] * len(structures)
        if len(recent) == self._remember:
            comparable = before is not None and before.shape == positions.shape
            bound = max_norm_bound(positions - before) if comparable else np.inf
            displacements = [bound] * len(structures)
            if not bound <= limit:
                displacements = [self._smallest(*own, recent, limit) for own in turned]
        self._last[slots] = positions
        recent.extend(positions)
        return displacements

    def _smallest(
        self,
        positions: NDArray[np.float64],
        cell: NDArray[np.float64],
        recent: deque[NDArray[np.float64]],
        limit: float,
    ) -> float:
        """The displacement from the nearest of the recent positions, each of shape (N, 3), Å."""
        smallest = np.inf
        for before in reversed(recent):
            smallest = min(smallest, displacement(positions - before, cell, limit))
            if smallest <= limit:
                break
        return smallest


def displacement(moved: NDArray[np.float64], cell: NDArray[np.float64], limit: float) -> float:
    """The largest displacement of an atom, Å; if it may have been wrapped, to the nearest image.

    Args:
        moved: of each atom, shape (N, 3), Å.
        cell: vectors as rows, Å.
        limit: in Å; displacements below it need not be exact.
    """
    bound = max_norm_bound(moved)
    return bound if bound <= limit else max_norm(to_nearest_image(moved, cell))
