"""Which bead of which system a structure is of.

i-PI does not say it: a connection serves whoever is next, so that the systems of a replica exchange
and the beads of a ring polymer go from one to another. But they move little between two requests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .limits import max_norm_bound

__all__ = ["Places", "upright"]

SAMPLE_LENGTH = 16
"""Atoms by which structures are told from each other."""

NEAR = 0.25
"""Å, further than an atom of a sane run goes between two requests."""

ABOVE = [1, 2, 5]
"""Numbers of a cell that are zero where it is lower triangular, as i-PI's own is."""


class Places:
    """The places that structures of one force field come from, each with its last structure.

    A structure is of the place whose last one is nearest. Where none is near, a new place is made,
    up to a number. Structures that are asked for together are of different places, however near:
    the beads of a ring polymer begin as one. What depends on a place may be quicker or clearer by
    it, never another answer.

    Args:
        name: of the force field; begins the names of places.
        capacity: how many places there may be.
    """

    def __init__(self, name: str, capacity: int) -> None:
        self._name, self._capacity = name, capacity
        self._samples: NDArray[np.float64] = np.empty((0, 0, 3))
        self._last: dict[str, tuple[list[int], list[str]]] = {}
        self._taken: set[int] = set()

    def release(self) -> None:
        """Give all places free: what comes next is not asked for together with what came before."""
        self._taken.clear()

    def find(
        self, connection: str, positions: NDArray[np.float64], cells: NDArray[np.float64]
    ) -> list[str]:
        """Name the places of B structures, and take note where they are now.

        Args:
            connection: what they came by: often it serves the same places each time.
            positions: shape (B, N, 3), Å.
            cells: shape (B, 3, 3), vectors as rows, Å.
        """
        samples = positions[:, :: -(-positions.shape[1] // SAMPLE_LENGTH)]
        if cells.reshape(-1, 9)[:, ABOVE].any():
            samples, cells = map(np.array, zip(*map(upright, samples, cells), strict=True))
        found, names = self._last.get(connection, ((), []))
        if (
            len(found) == len(samples)
            and self._taken.isdisjoint(found)
            and max_norm_bound(samples - self._samples[found]) <= NEAR
        ):
            self._samples[found] = samples
            self._taken.update(found)
            return names
        found = [self._nearest(s, c) for s, c in zip(samples, cells, strict=True)]
        names = [f"{self._name}, place {index}" for index in found]
        self._last[connection] = found, names
        return names

    def _nearest(self, sample: NDArray[np.float64], cell: NDArray[np.float64]) -> int:
        """The place nearest to some atoms, shape (n, 3), in a cell; atoms may have been wrapped."""
        count = len(self._samples)
        free = np.setdiff1d(np.arange(count), [*self._taken])
        index = count
        if len(free):
            moved = sample - self._samples[free]
            nearest = int((moved**2).sum((1, 2)).argmin())
            if max_norm_bound(moved[nearest]) > NEAR:
                moved = to_nearest_image(moved, cell)
                nearest = int((moved**2).sum((1, 2)).argmin())
            if count >= self._capacity or max_norm_bound(moved[nearest]) <= NEAR:
                index = int(free[nearest])
        if index == count:
            self._samples = np.append(self._samples.reshape(-1, *sample.shape), [sample], axis=0)
        self._samples[index] = sample
        self._taken.add(index)
        return index


def upright(
    positions: NDArray[np.float64], cell: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same positions (N, 3) and cell, Å, turned so that the cell is lower triangular.

    i-PI's ``<ffrotations>`` asks for turned and mirrored copies of one structure, another one each
    time: so turned back they can be compared.
    """
    if not cell.ravel()[ABOVE].any():
        return positions, cell
    turn, triangle = np.linalg.qr(cell.T)
    turn *= np.where(np.diag(triangle) < 0.0, -1.0, 1.0)
    return positions @ turn, cell @ turn


def to_nearest_image(moved: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Displacements, shape (…, 3), Å, less whole cells; i-PI may wrap between two requests.

    It has a cell and wraps into it whether or not the template is periodic.
    """
    if np.linalg.det(cell) == 0.0:
        return moved
    images: NDArray[np.float64] = moved - np.round(moved @ np.linalg.inv(cell)) @ cell
    return images
