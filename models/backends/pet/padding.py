"""Atoms and their edges as a rectangle, in which those of one atom attend to each other."""

from __future__ import annotations

from typing import Any

import torch

from .edges import Edges

__all__ = ["Grid", "reversed_edges"]

LEAST = 1e-15  # weight of a neighbour at the cutoff, and of what only fills the rectangle


class Grid:
    """Rows of tokens: each of n atoms, then its edges, k - 1 at most, then zeros.

    Args:
        edges: e in all.
        weights: (e, 1) how much an edge counts.

    Attributes:
        shape: n, k.
        mask: (n, 1, 1, k) logarithm of the weights.
    """

    def __init__(self, edges: Edges, weights: torch.Tensor) -> None:
        centers, n, e = edges.centers, len(edges.numbers), len(edges.centers)
        counts = torch.zeros_like(edges.numbers).index_add(0, centers, torch.ones_like(centers))
        self.shape = n, 1 + int(counts.max())
        tokens = torch.arange(n + e, device=counts.device)
        rows = tokens[:n] * self.shape[1]
        offsets = rows + 1 + counts - counts.cumsum(0)  # to add to an edge's own number
        places = torch.cat([rows, tokens[:e] + offsets.index_select(0, centers)])
        sources = torch.full((n * self.shape[1],), n + e, device=counts.device)
        sources[places] = tokens
        self._map = sources, places
        mask = self.fill(weights.new_ones(n, 1), weights).clamp(LEAST).log()
        self.mask = mask.view(n, 1, 1, -1)

    def fill(self, atoms: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """Put (n, d) of atoms and (e, d) of edges into (n, k, d)."""
        return Fill.apply(atoms, edges, *self._map).view(*self.shape, -1)

    def take(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take (n, d) of atoms and (e, d) of edges out of (n, k, d)."""
        n, k = self.shape
        return Take.apply(tokens.reshape(n * k, -1), n, *self._map)


class Fill(torch.autograd.Function):
    """Rows of two arrays put to their places among zeros; a gradient that only moves rows."""

    @staticmethod
    def forward(
        ctx: Any, one: torch.Tensor, two: torch.Tensor, sources: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(sources, places)
        ctx.count = len(one)
        rows = torch.cat([one, two, one.new_zeros(1, one.shape[1])])
        return rows.index_select(0, sources)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return *Take.apply(gradient, ctx.count, *ctx.saved_tensors), None, None


class Take(torch.autograd.Function):
    """The same rows taken out again."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, count: int, sources: torch.Tensor, places: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.save_for_backward(sources, places)
        rows = x.index_select(0, places)
        return rows[:count], rows[count:]

    @staticmethod
    def backward(ctx: Any, one: torch.Tensor, two: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return Fill.apply(one, two, *ctx.saved_tensors), None, None, None


def reversed_edges(x: torch.Tensor, edges: Edges) -> torch.Tensor:
    """Give each edge the row of the one that leads back."""
    return Exchange.apply(x, edges.reverse)


class Exchange(torch.autograd.Function):
    """Rows exchanged in pairs."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, partners: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(partners)
        return x.index_select(0, partners)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return Exchange.apply(gradient, *ctx.saved_tensors), None
