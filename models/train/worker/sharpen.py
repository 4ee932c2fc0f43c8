"""A first layer that tells bond lengths apart.

By default the first layer of a fresh PET responds almost linearly to a distance over several Å, and
training stays on a plateau for thousands of steps until that changes. Here its units get kinks at
distances that occur in the data, half of them among bonds, of 0.1 to 2 Å width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from .batch import Frame

if TYPE_CHECKING:
    from metatrain.pet import PET

__all__ = ["sharpen"]

STEEPEST, FLATTEST = 10.0, 0.5  # 1/Å
BONDS = 1.3  # times the sum of covalent radii


def edges_of(frames: Sequence[Frame]) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors and distances of all neighbour pairs, (p, 4) Å, and which are bonds, (p,)."""
    from ase.data import covalent_radii

    radii = torch.tensor(covalent_radii, dtype=torch.float32)
    vectors, reach = [], []
    for frame in frames:
        edges = frame.edges
        vectors.append(edges.vectors.cpu())
        first, second = edges.numbers[edges.centers].cpu(), edges.neighbors.cpu()
        reach.append(BONDS * (radii[first] + radii[second]))
    apart = torch.cat(vectors)
    distances = apart.norm(dim=1)
    return torch.cat([apart, distances[:, None]], dim=1), distances < torch.cat(reach)


@torch.no_grad()
def sharpen(model: PET, frames: Sequence[Frame], seed: int) -> None:
    """Give the layers that read distances kinks where ``frames`` have distances."""
    edges, bonded = edges_of(frames)
    if not len(edges):
        return
    random = torch.Generator().manual_seed(seed)
    bonds = edges[bonded] if bonded.any() else edges

    def some(rows: torch.Tensor, count: int) -> torch.Tensor:
        return rows[torch.randint(len(rows), (count,), generator=random)]

    for layer in model.backend.gnn_layers:
        embed, hidden, out = layer.edge_embedder, layer.compress[0], layer.compress[2]
        d = embed.out_features
        between = torch.rand(d, generator=random)
        slope = FLATTEST * torch.exp(between * math.log(STEEPEST / FLATTEST))
        response = hidden.weight[:, :d] @ embed.weight  # (d, 4) 1/Å
        response[:, :3] *= (torch.rand(d, 1, generator=random) < 0.6).float()
        response *= (slope / response.norm(dim=1))[:, None]
        # rows of the embedding that carry x, y, z, r unchanged, so that any response is reachable
        axis = torch.arange(d) % 4
        embed.weight.zero_()
        embed.bias.zero_()
        embed.weight[torch.arange(d), axis] = 2.0
        hidden.weight[:, :d] = response[:, axis] / (2.0 * (d // 4))
        at = torch.where(torch.rand(d, 1, generator=random) < 0.5, some(bonds, d), some(edges, d))
        hidden.bias.copy_(-(response * at).sum(1))
        out.weight.mul_(3.0 / slope.sqrt())
