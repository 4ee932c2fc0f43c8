"""The edges of a graph of atoms: all pairs within the cutoff, those of each atom together."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
import vesin
from ase.geometry import complete_cell

from ...base import Structure

__all__ = ["Edges", "VerletList"]


@dataclass(frozen=True, eq=False)
class Edges:
    """All e edges of some structures with n atoms in all, sorted by their centre.

    Attributes:
        numbers: (n,) atomic numbers.
        systems: (n,) which structure an atom belongs to.
        centers: (e,) atoms that the edges start from.
        neighbors: (e,) atomic numbers of those they lead to.
        reverse: (e,) which edge leads back.
        vectors: (e, 3) from the centre to the neighbour, Å.
    """

    numbers: torch.Tensor
    systems: torch.Tensor
    centers: torch.Tensor
    neighbors: torch.Tensor
    reverse: torch.Tensor
    vectors: torch.Tensor

    @classmethod
    def join(cls, parts: Sequence[Edges]) -> Edges:
        """Put the graphs of structures side by side."""
        if len(parts) == 1:
            return parts[0]
        atoms = np.cumsum([0, *(len(p.numbers) for p in parts)]).tolist()
        edges = np.cumsum([0, *(len(p.centers) for p in parts)]).tolist()
        return cls(
            numbers=torch.cat([p.numbers for p in parts]),
            systems=torch.cat([p.systems + k for k, p in enumerate(parts)]),
            centers=torch.cat([p.centers + first for first, p in zip(atoms, parts, strict=False)]),
            neighbors=torch.cat([p.neighbors for p in parts]),
            reverse=torch.cat([p.reverse + first for first, p in zip(edges, parts, strict=False)]),
            vectors=torch.cat([p.vectors for p in parts]),
        )

    def differentiable(self) -> Edges:
        """The same edges, with vectors to differentiate by."""
        return replace(self, vectors=self.vectors.detach().requires_grad_(True))

    def by_position(self, gradient: torch.Tensor) -> torch.Tensor:
        """Turn an energy's gradient by ``vectors``, (e, 3), into that by positions, (n, 3)."""
        total = gradient.new_zeros(len(self.numbers), 3)
        return total.index_add(0, self.centers, gradient.index_select(0, self.reverse) - gradient)

    def by_strain(self, gradient: torch.Tensor, count: int) -> torch.Tensor:
        """Turn it into that by the strain of each of ``count`` structures, (count, 3, 3)."""
        outer = self.vectors[:, :, None] * gradient[:, None, :]
        total = gradient.new_zeros(count, 3, 3)
        return total.index_add(0, self.systems[self.centers], outer)


class VerletList:
    """The edges of one structure, step after step.

    Pairs within the cutoff and a skin are kept. They serve as long as none that was left out can
    have come within the cutoff: distances shrink at most as the cell does, less what atoms moved
    apart from it.

    Args:
        cutoff: Å.
        skin: Å; 0 looks for pairs each time.
        device: where the edges will be.
    """

    def __init__(self, cutoff: float, skin: float, device: torch.device | str) -> None:
        self.cutoff, self.skin, self.device = cutoff, skin, device
        self._made_for: Structure | None = None

    def edges(self, structure: Structure, dtype: torch.dtype) -> Edges:
        """Return the edges, with vectors of ``dtype``."""
        if not self._serves(structure):
            self._look(structure)
        cell = torch.as_tensor(structure.cell * structure.pbc[:, None], device=self.device)
        positions = torch.as_tensor(structure.positions, device=self.device)
        apart = positions.index_select(0, self._second) - positions.index_select(0, self._first)
        vectors = torch.addmm(apart, self._shifts, cell)  # of the way back: to the bit the negative
        near = torch.nonzero(vectors.square().sum(1) <= self.cutoff**2)[:, 0]
        place = torch.empty_like(self._reverse)
        place[near] = torch.arange(len(near), device=self.device)
        return Edges(
            numbers=self._numbers,
            systems=torch.zeros_like(self._numbers),
            centers=self._first.index_select(0, near),
            neighbors=self._neighbors.index_select(0, near),
            reverse=place.index_select(0, self._reverse.index_select(0, near)),
            vectors=vectors.index_select(0, near).to(dtype),
        )

    def _serves(self, structure: Structure) -> bool:
        """Whether the list has all pairs within the cutoff."""
        made = self._made_for
        if made is None or not self.skin:
            return False
        if not (
            np.array_equal(made.numbers, structure.numbers)
            and np.array_equal(made.pbc, structure.pbc)
        ):
            return False
        change = np.linalg.solve(full_cell(made), full_cell(structure))
        moved = structure.positions - made.positions @ change
        shrunk = np.linalg.svd(change, compute_uv=False)[-1] * (self.cutoff + self.skin)
        return bool(shrunk - 2 * np.sqrt((moved**2).sum(1).max(initial=0.0)) >= self.cutoff)

    def _look(self, structure: Structure) -> None:
        """Find the pairs, each with the way back."""
        half = vesin.NeighborList(cutoff=self.cutoff + self.skin, full_list=False)
        first, second, shifts = half.compute(
            points=structure.positions,
            box=structure.cell * structure.pbc[:, None],
            periodic=structure.pbc,
            quantities="ijS",
        )
        count = len(first)
        centers = np.concatenate([first, second]).astype(np.int64)
        order = np.argsort(centers, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(2 * count)

        def sorted_(array: np.ndarray) -> torch.Tensor:
            return torch.tensor(array[order], device=self.device)

        shifts = np.reshape(shifts, (-1, 3)).astype(np.float64)
        self._first = sorted_(centers)
        self._second = sorted_(np.concatenate([second, first]).astype(np.int64))
        self._shifts = sorted_(np.concatenate([shifts, -shifts]))
        self._reverse = sorted_(np.roll(place, count))
        self._numbers = torch.tensor(structure.numbers, dtype=torch.int64, device=self.device)
        self._neighbors = self._numbers[self._second]
        self._made_for = deepcopy(structure)


def full_cell(structure: Structure) -> np.ndarray:
    """The cell, with unit vectors in the directions that are not periodic."""
    return complete_cell(structure.cell * structure.pbc[:, None])
