"""Atoms and their edges as a rectangle, in which those of one atom attend to each other."""

from __future__ import annotations

from typing import Any

import torch

from .edges import Edges

__all__ = ["Padding", "swap"]

MIN_CUTOFF_FACTOR = 1e-15  # of a neighbour at the cutoff, and of what only fills the rectangle


class Padding:
    """A row of k tokens for each of n atoms: the atom, its k - 1 edges at most, then zeros.

    Args:
        centers: atoms that the edges start from, ascending, shape (e,).
        n: number of atoms.
        cutoff_factors: how much each edge counts, shape (e, 1).

    Attributes:
        shape: n, k.
        mask: logarithm of the cutoff factors, shape (n, 1, 1, k), to add to attention scores.
    """

    def __init__(self, centers: torch.Tensor, n: int, cutoff_factors: torch.Tensor) -> None:
        e = len(centers)
        counts = centers.new_zeros(n).index_add(0, centers, torch.ones_like(centers))
        self.shape = n, 1 + int(counts.max())
        tokens = torch.arange(n + e, device=counts.device)
        rows = tokens[:n] * self.shape[1]
        offsets = rows + 1 + counts - counts.cumsum(0)  # to add to an edge's own number
        places = torch.cat([rows, tokens[:e] + offsets.index_select(0, centers)])
        sources = torch.full((n * self.shape[1],), n + e, device=counts.device)
        sources[places] = tokens
        self._map = sources, places
        mask = self.pad(cutoff_factors.new_ones(n, 1), cutoff_factors)
        self.mask = mask.clamp(MIN_CUTOFF_FACTOR).log().view(n, 1, 1, -1)

    def pad(self, nodes: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """Put rows of atoms, shape (n, d), and of edges, (e, d), into one of shape (n, k, d)."""
        return Pad.apply(nodes, edges, *self._map).view(*self.shape, -1)

    def unpad(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take the rows of atoms, shape (n, d), and of edges, (e, d), out of (n, k, d)."""
        n, k = self.shape
        return Unpad.apply(tokens.reshape(n * k, -1), n, *self._map)


class Pad(torch.autograd.Function):
    """Rows of two arrays put to their places among zeros; a gradient that only moves rows.

    ``sources``, shape (n k,), is the row that each place takes, n + e for zeros; ``places``, shape
    (n + e,), is where each row goes.
    """

    @staticmethod
    def forward(
        ctx: Any,
        nodes: torch.Tensor,
        edges: torch.Tensor,
        sources: torch.Tensor,
        places: torch.Tensor,
    ) -> torch.Tensor:
        """Return shape (n k, d) of shapes (n, d) and (e, d)."""
        ctx.save_for_backward(sources, places)
        ctx.n_nodes = len(nodes)
        rows = torch.cat([nodes, edges, nodes.new_zeros(1, nodes.shape[1])])
        return rows.index_select(0, sources)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Take the gradient's rows, shape (n k, d), out again."""
        return *Unpad.apply(gradient, ctx.n_nodes, *ctx.saved_tensors), None, None


class Unpad(torch.autograd.Function):
    """The same rows taken out again."""

    @staticmethod
    def forward(
        ctx: Any, tokens: torch.Tensor, n_nodes: int, sources: torch.Tensor, places: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return shapes (n, d) and (e, d) of shape (n k, d)."""
        ctx.save_for_backward(sources, places)
        rows = tokens.index_select(0, places)
        return rows[:n_nodes], rows[n_nodes:]

    @staticmethod
    def backward(
        ctx: Any, nodes: torch.Tensor, edges: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        """Put the gradients' rows, shapes (n, d) and (e, d), back to their places."""
        return Pad.apply(nodes, edges, *ctx.saved_tensors), None, None, None


def swap(x: torch.Tensor, edges: Edges) -> torch.Tensor:
    """Give each edge the row, of shape (e, d), of the one that leads back."""
    return Swap.apply(x, edges.reverse)


class Swap(torch.autograd.Function):
    """Rows exchanged in pairs, so that the gradient is exchanged alike."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, partners: torch.Tensor) -> torch.Tensor:
        """Return the rows of ``x``, shape (e, d), at ``partners``, shape (e,)."""
        ctx.save_for_backward(partners)
        return x.index_select(0, partners)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Exchange the gradient's rows, shape (e, d)."""
        return Swap.apply(gradient, *ctx.saved_tensors), None
