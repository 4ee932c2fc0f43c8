"""Atoms and bonds as flat shapes, in ASE's colours and by its covalent radii."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Shape", "balls", "bonds"]

REACH = 1.15
"""Atoms are bonded up to the sum of their covalent radii times this."""
PACKED = 1.2  # Å
"""Elements of a larger covalent radius, mostly metals, touch a dozen others: not bonded."""
BALL, PACKED_BALL, POINT = 0.6, 0.9, 0.2
"""Radii that are drawn, in covalent ones."""
BOND_WIDTH = 0.18  # Å
DARK = 0.45  # an outline, in the colour that it surrounds
GLOSS_AT, GLOSS_SIZE, GLOSS = np.array([-0.3, 0.3]), 0.3, 0.6
"""The light on a ball: where and how large, in its radius; how white."""
ANGLES = np.linspace(0, 2 * np.pi, 24, endpoint=False)
CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


class Shape(NamedTuple):
    """A polygon.

    Attributes:
        depth: towards the eye, Å.
        outline: corners, Å, shape (k, 2).
        face: colour, shape (3,).
        edge: colour, shape (3,).
    """

    depth: float
    outline: NDArray[np.float64]
    face: NDArray[np.float64]
    edge: NDArray[np.float64]


def balls(atoms: Atoms, *, as_points: bool = False) -> list[Shape]:
    """A ball with a light on it for each atom, or a point.

    Args:
        atoms: seen along z.
        as_points: for beads, of which there are many.
    """
    from ase.data import covalent_radii

    size = np.where(_packed(atoms.numbers), PACKED_BALL, BALL)
    radii = covalent_radii[atoms.numbers] * (POINT if as_points else size)
    shapes = []
    for at, radius, color in zip(atoms.positions, radii, _colors(atoms.numbers), strict=True):
        shapes.append(Shape(at[2], at[:2] + radius * CIRCLE, color, DARK * color))
        if not as_points:
            light = color + GLOSS * (1 - color)
            gloss = at[:2] + radius * (GLOSS_AT + GLOSS_SIZE * CIRCLE)
            shapes.append(Shape(np.nextafter(at[2], np.inf), gloss, light, light))
    return shapes


def bonds(atoms: Atoms) -> list[Shape]:
    """Half a bond from each of two bonded atoms, also where the other one is an image."""
    from ase.neighborlist import natural_cutoffs, neighbor_list

    i, j, vectors = neighbor_list("ijD", atoms, natural_cutoffs(atoms, mult=REACH))
    packed = _packed(atoms.numbers)
    kept = ~(packed[i] & packed[j])
    i, halves = i[kept], 0.5 * vectors[kept]
    begin, end = atoms.positions[i], atoms.positions[i] + halves
    across = np.stack([-halves[:, 1], halves[:, 0]], axis=1)
    length = np.linalg.norm(across, axis=1, keepdims=True)
    across *= 0.5 * BOND_WIDTH / np.maximum(length, 1e-9)  # a bond along z is not seen
    a, b = begin[:, :2], end[:, :2]
    outlines = np.stack([a - across, a + across, b + across, b - across], axis=1)
    depths = 0.5 * (begin + end)[:, 2]
    return [
        Shape(depth, outline, color, DARK * color)
        for depth, outline, color in zip(depths, outlines, _colors(atoms.numbers[i]), strict=True)
    ]


def _packed(numbers: NDArray[np.int_]) -> NDArray[np.bool_]:
    from ase.data import covalent_radii

    return covalent_radii[numbers] > PACKED


def _colors(numbers: NDArray[np.int_]) -> NDArray[np.float64]:
    """Of elements, shape (N, 3)."""
    from ase.data.colors import jmol_colors

    return jmol_colors[numbers]
