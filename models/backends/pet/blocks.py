"""A graph in blocks of neighbouring atoms, so that not all of a layer is in memory at once.

Atoms attend to their own edges alone. What one layer does with an atom and its edges can therefore
be done for some atoms after the others, and only messages go from block to block, between layers.
What is made on the way is as large as a block, fits memory that is at hand, and need not be kept
for the gradient, which makes it again (`checkpointing`_).

.. _checkpointing: https://docs.pytorch.org/docs/stable/checkpoint.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch.utils.checkpoint import checkpoint

from .edges import Edges
from .padding import Padding

__all__ = ["Block", "join", "recompute", "split"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Block:
    """Some atoms that follow each other, n of them, with all their e edges.

    Attributes:
        n_atoms: n.
        n_edges: e.
        centers: atoms of the block that the edges start from, shape (e,).
        neighbors: atomic numbers of those they lead to, shape (e,).
        geometry: vector and distance of each edge, shape (e, 4), Å.
        cutoff_factors: how much each edge counts, shape (e, 1).
        padding: of these atoms and edges.
    """

    n_atoms: int
    n_edges: int
    centers: torch.Tensor
    neighbors: torch.Tensor
    geometry: torch.Tensor
    cutoff_factors: torch.Tensor
    padding: Padding


def split(
    edges: Edges, geometry: torch.Tensor, cutoff_factors: torch.Tensor, max_edges: int | None
) -> list[Block]:
    """Split a graph into blocks of about as many edges each, and of as many as ``max_edges``.

    Args:
        edges: e of them.
        geometry: vector and distance of each, shape (e, 4), Å.
        cutoff_factors: how much each counts, shape (e, 1).
        max_edges: in a block, but for the last atom's; ``None`` for one block.
    """
    n, e = len(edges.numbers), len(edges.centers)
    count = 1 if max_edges is None else max(1, -(-e // max_edges))
    ends, edge_ends = [0, n], [0, e]
    if count > 1:
        up_to = torch.bincount(edges.centers, minlength=n).cumsum(0)  # edges of atoms 0 to i
        wanted = torch.arange(1, count, device=up_to.device) * e // count
        inner = torch.searchsorted(up_to, wanted).add(1).unique()
        inner = inner[inner < n]
        ends = [0, *inner.tolist(), n]
        edge_ends = [0, *up_to[inner - 1].tolist(), e]
    sizes = [b - a for a, b in pairwise(edge_ends)]
    blocks = []
    for (a, b), size, *parts in zip(
        pairwise(ends),
        sizes,
        *(x.split(sizes) for x in (edges.centers, edges.neighbors, geometry, cutoff_factors)),
        strict=True,
    ):
        centers, neighbors, of_geometry, factors = parts
        padding = Padding(centers - a, b - a, factors)
        blocks.append(Block(b - a, size, centers - a, neighbors, of_geometry, factors, padding))
    return blocks


def join(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Put the rows of blocks, shapes (rows, d), below each other."""
    return parts[0] if len(parts) == 1 else torch.cat([*parts])


def recompute(function: Callable[..., T], *args: Any) -> T:
    """Call a function and keep only what it was given; the gradient will call it again."""
    result: T = checkpoint(function, *args, use_reentrant=False, preserve_rng_state=False)
    return result
