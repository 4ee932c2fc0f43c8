"""Atoms, bonds and a cell as flat shapes, those in front drawn last, in ASE's colours and radii."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .take import Take

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.axes import Axes

__all__ = ["Scene"]

BOND_REACH = 1.15
"""Bonds are as long as covalent radii together, times this."""
PACKED = 1.2  # Å
"""Elements of a larger covalent radius, mostly metals, touch a dozen others and are not bonded."""
SIZE, SIZE_PACKED, SIZE_BEAD = 0.55, 0.85, 0.22
"""Radii of what is drawn, in covalent ones."""
BOND_WIDTH = 0.18  # Å
SLACK = 0.15
"""An atom may leave the cell by this part of it before it enters on the other side."""
EPS = 0.03  # of the cell; atoms of a layer on its face stay together
MARGIN = 1.0  # Å, around what is not periodic
FOG = 0.5  # how pale the farthest is
CORNERS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=float)
EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if abs(CORNERS[a] - CORNERS[b]).sum() == 1]
CIRCLE = np.array([[np.cos(a), np.sin(a)] for a in np.linspace(0, 2 * np.pi, 24, endpoint=False)])
GLOSS = np.array([-0.3, 0.3])
"""Where the light falls on an atom, and how large it is, in its radius."""
GLOSS_SIZE = 0.3


@dataclass(frozen=True, eq=False)
class Scene:
    """A run as seen from one side, always the same part of space.

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
        cell = self._first.cell
        at = self._place(self._first) @ np.linalg.inv(cell)
        periodic = self.take.periodic
        low, high = (np.where(periodic, edge, at_edge) for edge, at_edge in
                     ((0.0, at.min(0)), (1.0, at.max(0))))
        corners = (low + CORNERS * (high - low)) @ cell @ self._turn
        margin = MARGIN + (0.0 if periodic.all() else MARGIN)
        return np.array([corners.min(0) - margin, corners.max(0) + margin])

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
        placed = [self._place(atoms) @ self._turn for atoms in beads]
        shapes = self._bonds(beads[0], placed[0])
        for atoms, positions in zip(beads, placed, strict=True):
            shapes += self._balls(atoms, positions, beads=len(beads))
        shapes.sort(key=lambda shape: shape[0])
        polygons, faces, edges = zip(*(shape[1:] for shape in shapes), strict=True)
        axes.add_collection(
            PolyCollection(polygons, facecolors=faces, edgecolors=edges, linewidths=0.5, zorder=2)
        )
        if self.take.periodic.any():
            self._draw_cell(axes, beads[0])
        low, high = self.bounds
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))

    @cached_property
    def _first(self) -> Atoms:
        return self.take.frames.beads[0][0]

    @cached_property
    def _turn(self) -> NDArray[np.float64]:
        from ase.utils import rotate

        return rotate(self.rotation)

    @cached_property
    def _shift(self) -> NDArray[np.float64]:
        """Cells by which each atom of the first frame is outside, shape (N, 3)."""
        at = self._first.positions @ np.linalg.inv(self._first.cell)
        return np.where(self.take.periodic, np.floor(at + EPS), 0.0)

    def _place(self, atoms: Atoms) -> NDArray[np.float64]:
        """Positions near the cell, shape (N, 3); what is not periodic stays where it is."""
        at = atoms.positions @ np.linalg.inv(atoms.cell) - self._shift
        outside = self.take.periodic & ((at < -SLACK) | (at >= 1 + SLACK))
        return (at - np.where(outside, np.floor(at), 0.0)) @ atoms.cell

    def _pale(self, colors, depth):
        """Colours of shape (N, 3), the paler the farther."""
        low, high = self.bounds[:, 2]
        fog = FOG * np.clip((high - depth) / (high - low), 0.0, 1.0)[:, None]
        return colors * (1 - fog) + fog

    def _balls(self, atoms, positions, beads):
        from ase.data import covalent_radii
        from ase.data.colors import jmol_colors

        radii = covalent_radii[atoms.numbers]
        size = SIZE_BEAD if beads > 1 else np.where(radii > PACKED, SIZE_PACKED, SIZE)
        radii = radii * size
        depth = positions[:, 2]
        colors = self._pale(jmol_colors[atoms.numbers], depth)
        dark = self._pale(0.45 * jmol_colors[atoms.numbers], depth)
        light = colors + 0.6 * (1 - colors)
        shapes = []
        for p, r, c, d, w in zip(positions, radii, colors, dark, light, strict=True):
            shapes.append((p[2], p[:2] + r * CIRCLE, c, d))
            if beads == 1:
                shapes.append((p[2] + 1e-6, p[:2] + r * (GLOSS + GLOSS_SIZE * CIRCLE), w, w))
        return shapes

    def _bonds(self, atoms, positions):
        """Half of each from either atom, also of those to images of atoms."""
        from ase.data import covalent_radii
        from ase.data.colors import jmol_colors
        from ase.neighborlist import natural_cutoffs, neighbor_list

        there = type(atoms)(
            atoms.numbers, positions, cell=atoms.cell @ self._turn, pbc=self.take.periodic
        )
        i, j, vectors = neighbor_list("ijD", there, natural_cutoffs(there, mult=BOND_REACH))
        packed = covalent_radii[atoms.numbers] > PACKED
        bonded = ~(packed[i] & packed[j])
        i, vectors = i[bonded], vectors[bonded]
        begin, end = positions[i], positions[i] + 0.5 * vectors
        depth = 0.5 * (begin + end)[:, 2]
        colors = self._pale(jmol_colors[atoms.numbers[i]], depth)
        dark = self._pale(0.45 * jmol_colors[atoms.numbers[i]], depth)
        across = np.stack([-vectors[:, 1], vectors[:, 0]], axis=1)
        across *= 0.5 * BOND_WIDTH / np.maximum(np.linalg.norm(across, axis=1), 1e-9)[:, None]
        a, b = begin[:, :2], end[:, :2]
        quads = np.stack([a - across, a + across, b + across, b - across], axis=1)
        return list(zip(depth, quads, colors, dark, strict=True))

    def _draw_cell(self, axes, atoms):
        from matplotlib.collections import LineCollection

        corners = CORNERS @ atoms.cell @ self._turn
        middle = corners[:, 2].mean()
        lines = [(corners[a], corners[b]) for a, b in EDGES]
        for front in (False, True):
            own = [(p[:2], q[:2]) for p, q in lines if (0.5 * (p + q)[2] > middle) == front]
            axes.add_collection(LineCollection(own, colors="0.55", linewidths=0.7, zorder=3 if front else 1))
