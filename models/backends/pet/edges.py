"""The edges of a graph of atoms: all pairs within the cutoff, those of each atom together."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
import vesin
from ase.geometry import complete_cell
from numpy.typing import NDArray

from ...base import Structure

__all__ = ["Edges", "VerletList"]


@dataclass(frozen=True, eq=False)
class Edges:
    """All e edges of s structures with n atoms in all, sorted by their centre.

    Attributes:
        numbers: atomic numbers, shape (n,).
        systems: which structure an atom belongs to, shape (n,).
        centers: atoms that the edges start from, shape (e,).
        neighbors: atomic numbers of those they lead to, shape (e,).
        reverse: which edge leads back, shape (e,).
        vectors: from the centre to the neighbour, shape (e, 3), Å.
        n_systems: s.
    """

    numbers: torch.Tensor
    systems: torch.Tensor
    centers: torch.Tensor
    neighbors: torch.Tensor
    reverse: torch.Tensor
    vectors: torch.Tensor
    n_systems: int = 1

    @classmethod
    def join(cls, parts: Sequence[Edges]) -> Edges:
        """Put the graphs of structures, one each, side by side."""
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
            n_systems=len(parts),
        )

    def differentiable(self) -> Edges:
        """The same edges, with vectors to differentiate by."""
        return replace(self, vectors=self.vectors.detach().requires_grad_(True))

    def sum_systems(self, values: torch.Tensor) -> torch.Tensor:
        """Sum over the atoms of each structure: from shape (n, …) to (s, …)."""
        zeros = values.new_zeros(self.n_systems, *values.shape[1:])
        return zeros.index_add(0, self.systems, values)

    def differentiate(
        self,
        energy: torch.Tensor,
        *,
        strain: bool,
        create_graph: bool = False,
        retain_graph: bool | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Differentiate an energy, computed from ``vectors``, by positions and by strain.

        ``∂E/∂x_i = Σ_j (∂E/∂r_ji - ∂E/∂r_ij)`` and ``∂E/∂ε = Σ_ij r_ij ⊗ ∂E/∂r_ij``

        ============ ================================
        symbol       variable
        ============ ================================
        ``r_ij``     ``vectors``
        ``∂E/∂r_ij`` ``gradient``
        ``∂E/∂r_ji`` ``back``
        ============ ================================

        Args:
            energy: of all structures together, eV, shape ().
            strain: whether by strain too.
            create_graph: whether the results can be differentiated again.
            retain_graph: whether the energy can; by default as ``create_graph``.

        Returns:
            ``∂E/∂x``, minus the forces, shape (n, 3), eV/Å; and ``∂E/∂ε`` of each structure, minus
            its virial, shape (s, 3, 3), eV, or ``None``.
        """
        (gradient,) = torch.autograd.grad(
            energy, self.vectors, create_graph=create_graph, retain_graph=retain_graph
        )
        with torch.set_grad_enabled(create_graph):
            back = gradient.index_select(0, self.reverse)
            zeros = gradient.new_zeros(len(self.numbers), 3)
            by_position = zeros.index_add(0, self.centers, back - gradient)
            if not strain:
                return by_position, None
            outer = self.vectors[:, :, None] * gradient[:, None, :]
            zeros = gradient.new_zeros(self.n_systems, 3, 3)
            return by_position, zeros.index_add(0, self.systems[self.centers], outer)


class VerletList:
    """The edges of one structure, step after step.

    Pairs within the cutoff and a skin are kept. They serve as long as none that was left out can
    have come within the cutoff: distances shrink at most as the cell does, less what atoms moved
    apart from it (L. Verlet, Phys. Rev. 159, 98 (1967), for a cell that may change).

    Args:
        cutoff: Å.
        skin: Å; 0 looks for pairs each time.
        device: where the edges will be.
    """

    def __init__(self, cutoff: float, skin: float, device: torch.device | str) -> None:
        self.cutoff, self.skin, self.device = cutoff, skin, device
        self._reference: Structure | None = None

    def edges(self, structure: Structure, dtype: torch.dtype) -> Edges:
        """Return the edges of a structure of n atoms, with vectors of ``dtype``."""
        if not self._is_valid(structure):
            self._build(structure)
        cell = torch.as_tensor(structure.cell * structure.pbc[:, None], device=self.device)
        positions = torch.as_tensor(structure.positions, device=self.device)
        differences = positions.index_select(0, self._second)
        differences = differences - positions.index_select(0, self._first)
        # of the way back the vector is to the bit the negative
        vectors = torch.addmm(differences, self._shifts, cell)
        near = torch.nonzero(vectors.square().sum(1) <= self.cutoff**2)[:, 0]
        places = torch.empty_like(self._reverse)
        places[near] = torch.arange(len(near), device=self.device)
        return Edges(
            numbers=self._numbers,
            systems=torch.zeros_like(self._numbers),
            centers=self._first.index_select(0, near),
            neighbors=self._neighbors.index_select(0, near),
            reverse=places.index_select(0, self._reverse.index_select(0, near)),
            vectors=vectors.index_select(0, near).to(dtype),
        )

    def _is_valid(self, structure: Structure) -> bool:
        """Whether the list has all pairs within the cutoff.

        It has where ``σ_min(D) (r_c + r_s) - 2 max |x - x₀ D| ≥ r_c``, with ``D = h₀⁻¹ h``.

        ============ ===============================================
        symbol       variable
        ============ ===============================================
        ``h₀ h``     cells, shape (3, 3), Å, then and now
        ``x₀ x``     positions, shape (n, 3), Å, then and now
        ``D``        ``deformation``, shape (3, 3)
        ``r_c r_s``  ``cutoff, skin``
        ============ ===============================================
        """
        reference = self._reference
        if reference is None or not self.skin:
            return False
        if not (
            np.array_equal(reference.numbers, structure.numbers)
            and np.array_equal(reference.pbc, structure.pbc)
        ):
            return False
        deformation = np.linalg.solve(full_cell(reference), full_cell(structure))
        displacements = structure.positions - reference.positions @ deformation
        reach = np.linalg.svd(deformation, compute_uv=False)[-1] * (self.cutoff + self.skin)
        furthest = np.sqrt((displacements**2).sum(1).max(initial=0.0))
        return bool(reach - 2 * furthest >= self.cutoff)

    def _build(self, structure: Structure) -> None:
        """Find the pairs, each with the way back, and sort them by centre."""
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
        places = np.empty_like(order)
        places[order] = np.arange(2 * count)

        def sorted_(array: NDArray[np.generic]) -> torch.Tensor:
            """Rows, shape (E, …), in the order of the edges."""
            return torch.tensor(array[order], device=self.device)

        shifts = np.reshape(shifts, (-1, 3)).astype(np.float64)
        self._first = sorted_(centers)
        self._second = sorted_(np.concatenate([second, first]).astype(np.int64))
        self._shifts = sorted_(np.concatenate([shifts, -shifts]))
        self._reverse = sorted_(np.roll(places, count))
        self._numbers = torch.tensor(structure.numbers, dtype=torch.int64, device=self.device)
        self._neighbors = self._numbers[self._second]
        self._reference = deepcopy(structure)


def full_cell(structure: Structure) -> NDArray[np.float64]:
    """The cell, shape (3, 3), with unit vectors in the directions that are not periodic."""
    return complete_cell(structure.cell * structure.pbc[:, None])
