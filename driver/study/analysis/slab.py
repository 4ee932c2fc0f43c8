"""Vacuum in a cell, and the slab that it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...ipi.trajectories import labels_of_frame
from .molecules import bonded_groups

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Slab", "empty_axes", "find_slab"]

LEAST_VACUUM = 5.0  # Å: no layers of matter are so far apart


@dataclass(frozen=True, eq=False)
class Slab:
    """A slab with vacuum across one cell vector, whatever its direction.

    Attributes:
        axis: index of that vector.
        middle: fractional coordinate along it amid the vacuum.
        body: indices of the atoms that it consists of, shape (n,).
        surface: labels of what the slab consists of, sorted.
        others: labels of all else, sorted: of what is adsorbed, or flies.
    """

    axis: int
    middle: float
    body: NDArray[np.int_]
    surface: tuple[str, ...]
    others: tuple[str, ...]

    def heights(self, frame: Atoms) -> NDArray[np.float64]:
        """Å along the normal of the surface, from the middle of the slab, shape (N,).

        Where the frame is periodic across it, from amid the vacuum below it to that above.
        """
        heights = fractions_of(frame, self.axis) - self.middle
        if frame.pbc[self.axis]:
            heights %= 1.0
        heights *= height_of(frame, self.axis)
        return heights - heights[self.body].mean()

    def area(self, frame: Atoms) -> float:
        """Of the surface, Å²."""
        return float(frame.get_volume() / height_of(frame, self.axis))


def fractions_of(frame: Atoms, axis: int) -> NDArray[np.float64]:
    """Fractional coordinates along a cell vector, not wrapped, shape (N,)."""
    return np.array(np.linalg.solve(frame.cell.array.T, frame.positions.T)[axis])


def height_of(frame: Atoms, axis: int) -> float:
    """Distance of the two faces of the cell that a vector connects, Å."""
    return float(1.0 / np.linalg.norm(frame.cell.reciprocal()[axis]))


def empty_axes(atoms: Atoms) -> list[int]:
    """Indices of the cell vectors across which there is vacuum, or which are not periodic.

    Three of a molecule or cluster, one of a slab. Molecules in the vacuum do not count where more
    than half of the atoms hang together.
    """
    body = _body(atoms)
    gaps = [_gap(atoms, body, axis)[0] for axis in range(3)]
    return [k for k in range(3) if gaps[k] > LEAST_VACUUM or not atoms.pbc[k]]


def find_slab(atoms: Atoms) -> Slab | None:
    """The slab in a cell; ``None`` where vacuum is not across exactly one of its vectors.

    What the half of its atoms nearest to its middle consist of is the slab's; other species are
    adsorbed.
    """
    if atoms.cell.rank != 3 or len(empty := empty_axes(atoms)) != 1:
        return None
    (axis,), body, labels = empty, _body(atoms), np.array(labels_of_frame(atoms))
    slab = Slab(axis, _gap(atoms, body, axis)[1], body, (), ())
    inner = body[np.argsort(np.abs(slab.heights(atoms)[body]))[: (len(body) + 1) // 2]]
    surface = set(labels[inner].tolist())
    others = set(labels.tolist()) - surface
    body = body[np.isin(labels[body], list(surface))]
    return Slab(axis, slab.middle, body, tuple(sorted(surface)), tuple(sorted(others)))


def _body(atoms: Atoms) -> NDArray[np.int_]:
    """Indices of the largest group of bonded atoms if it is most of them, else of all."""
    groups = bonded_groups(atoms)
    largest = np.flatnonzero(groups == np.bincount(groups).argmax())
    return largest if 2 * len(largest) > len(atoms) else np.arange(len(atoms))


def _gap(atoms: Atoms, body: NDArray[np.int_], axis: int) -> tuple[float, float]:
    """The widest gap between atoms along a cell vector, Å, and the fraction where its middle is."""
    fractions = np.sort(fractions_of(atoms, axis)[body] % 1.0)
    gaps = np.diff(fractions, append=fractions[0] + 1.0)
    widest = int(gaps.argmax())
    middle = float(fractions[widest] + 0.5 * gaps[widest])
    return float(gaps[widest]) * height_of(atoms, axis), middle
