"""Positions near the origin: far from it a model in single precision loses digits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..base import Structure

__all__ = ["Images", "near_origin"]


FAR = 2.0  # cells


def near_origin(structure: Structure) -> NDArray[np.float64]:
    """Positions (N, 3), Å, less whole cells along periodic directions, if one is far away."""
    images = _images(structure)
    if np.abs(images).max(initial=0.0) <= FAR:
        return structure.positions
    return structure.positions - images @ structure.cell


def _images(structure: Structure) -> NDArray[np.float64]:
    """In which images of the cell atoms are, shape (N, 3), whole numbers."""
    if not structure.pbc.any() or np.linalg.det(structure.cell) == 0.0:
        return np.zeros_like(structure.positions)
    inside = structure.positions @ np.linalg.inv(structure.cell)
    return np.where(structure.pbc, np.floor(inside), 0.0)


class Images:
    """Takes the same whole cells from the positions of a structure, step after step.

    Its atoms then move as they do, without jumps across the boundary: neighbour lists stay valid.
    Cells are chosen anew when an atom has gone further than one from where they were chosen.
    """

    def __init__(self) -> None:
        self._images: NDArray[np.float64] = np.empty((0, 3))

    def near_origin(self, structure: Structure) -> NDArray[np.float64]:
        """Positions (N, 3), Å, less whole cells along periodic directions."""
        images = _images(structure)
        if images.shape != self._images.shape or np.abs(images - self._images).max(initial=0) > 1:
            self._images = images
        return structure.positions - self._images @ structure.cell
