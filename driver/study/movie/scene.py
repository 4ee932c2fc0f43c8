"""Atoms, bonds and the cell of a run, seen from one side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .shapes import balls, bonds
from .take import Take

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.axes import Axes

__all__ = ["Scene", "place"]

SLACK = 0.15
"""An atom may leave the cell by this part of it before it enters on the other side."""
LAYER = 0.03
"""Atoms that begin this part of a cell outside stay there: those of a layer on a face, together."""
MARGIN = 1.0  # Å around the cell, and twice that around what is not periodic
FOG = 0.5  # how pale the farthest is
CORNERS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=float)
EDGES = [(a, b) for a in range(8) for b in range(a) if np.abs(CORNERS[a] - CORNERS[b]).sum() == 1]
BEHIND, AMONG, BEFORE = 1, 2, 3


def place(atoms: Atoms, first: Atoms, periodic: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Where to draw atoms, near the cell, so that they do not jump to and fro across its faces.

    Args:
        atoms: a frame.
        first: the first one of the trajectory.
        periodic: directions, shape (3,); atoms are left where they are along the others.

    Returns:
        Positions, Å, shape (N, 3).
    """
    begun = first.positions @ np.linalg.inv(first.cell)
    at = atoms.positions @ np.linalg.inv(atoms.cell) - np.where(
        periodic, np.floor(begun + LAYER), 0
    )
    outside = periodic & ((at < -SLACK) | (at >= 1 + SLACK))
    return (at - np.where(outside, np.floor(at), 0)) @ atoms.cell


@dataclass(frozen=True, eq=False)
class Scene:
    """Draws frames of a run, always of the same part of space.

    Attributes:
        take: the run.
        rotation: as ASE writes it: ``-90x,10y``.
    """

    take: Take
    rotation: str

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """Lowest and highest corner of what is seen, Å, shape (2, 3); the third towards the eye.

        The cell, where it is periodic; elsewhere the atoms of the first frame.
        """
        periodic, first = self.take.periodic, self._first
        at = place(first, first, periodic) @ np.linalg.inv(first.cell)
        low = np.where(periodic, 0.0, at.min(axis=0))
        high = np.where(periodic, 1.0, at.max(axis=0))
        corners = (low + CORNERS * (high - low)) @ first.cell @ self._turn
        margin = MARGIN if periodic.all() else 2 * MARGIN
        return np.array([corners.min(axis=0) - margin, corners.max(axis=0) + margin])

    @property
    def aspect(self) -> float:
        """Height by width."""
        width, height, _ = self.bounds[1] - self.bounds[0]
        return float(height / width)

    def draw(self, axes: Axes, beads: Sequence[Atoms]) -> None:
        """Draw a frame of each bead instead of what was drawn before."""
        from matplotlib.collections import PolyCollection

        for old in list(axes.collections):
            old.remove()
        periodic = self.take.periodic
        turned = [
            type(bead)(
                bead.numbers,
                place(bead, self._first, periodic) @ self._turn,
                cell=bead.cell @ self._turn,
                pbc=periodic,
            )
            for bead in beads
        ]
        shapes = bonds(turned[0])
        for bead in turned:
            shapes += balls(bead, as_points=len(beads) > 1)
        shapes.sort(key=lambda shape: shape.depth)
        polygons = PolyCollection([s.outline for s in shapes], linewidths=0.5, zorder=AMONG)
        fog = self._fog(np.array([s.depth for s in shapes]))
        polygons.set_facecolor(_paler(np.array([s.face for s in shapes]), fog).tolist())
        polygons.set_edgecolor(_paler(np.array([s.edge for s in shapes]), fog).tolist())
        axes.add_collection(polygons)
        if periodic.any():
            self._draw_cell(axes, turned[0].cell.array)
        (left, bottom, _), (right, top, _) = self.bounds
        axes.set(xlim=(left, right), ylim=(bottom, top))

    @property
    def _first(self) -> Atoms:
        return self.take.frames.beads[0][0]

    @cached_property
    def _turn(self) -> NDArray[np.float64]:
        """What turns rows into those on the screen, shape (3, 3)."""
        from ase.utils import rotate

        try:
            return rotate(self.rotation)
        except (ValueError, IndexError):
            raise InputError(
                f"expected a rotation as ASE writes it, got '{self.rotation}'; write -90x,10y"
            ) from None

    def _fog(self, depth: NDArray[np.float64]) -> NDArray[np.float64]:
        """How pale things are, by their depth."""
        low, high = self.bounds[:, 2]
        return FOG * np.clip((high - depth) / (high - low), 0.0, 1.0)

    def _draw_cell(self, axes: Axes, cell: NDArray[np.float64]) -> None:
        """Its edges, those towards the eye before the atoms."""
        from matplotlib.collections import LineCollection

        corners = CORNERS @ cell
        middle = corners[:, 2].mean()
        for a, b in EDGES:
            depth = 0.5 * (corners[a] + corners[b])[2]
            line = [corners[a, :2], corners[b, :2]]
            order = BEFORE if depth > middle else BEHIND
            axes.add_collection(LineCollection([line], colors="0.55", linewidths=0.7, zorder=order))


def _paler(colors: NDArray[np.float64], fog: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours, shape (k, 3), mixed with white by ``fog``, shape (k,)."""
    return colors + (1 - colors) * fog[:, None]
