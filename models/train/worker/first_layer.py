"""First-layer initialisation: a first layer that tells bond lengths apart.

By default the first layer of a fresh PET responds almost linearly to a distance over several Å, and
training stays on a plateau for thousands of steps until that changes. Here its units get kinks at
distances that occur in the data, half of them among bonds, of 0.1 to 2 Å width. Weights drawn from
the data are also what E. L. Bolager et al., arXiv 2306.16830, sample whole networks by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from .batch import Frame

if TYPE_CHECKING:
    from metatrain.pet import PET

__all__ = ["edge_geometries", "initialize_first_layer"]

MIN_SLOPE, MAX_SLOPE = 0.5, 10.0  # of a unit's response, 1/Å
BOND_FACTOR = 1.3  # a bond is up to so many times the sum of covalent radii
ANISOTROPIC_SHARE = 0.6  # of the units, which read the direction as well as the distance
OUTPUT_FACTOR = 3.0  # of the weights that read a unit of slope 1/Å
EMBEDDING_WEIGHT = 2.0


def edge_geometries(frames: Sequence[Frame]) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors and distances of all e edges, shape (e, 4), Å, and which are bonds, shape (e,)."""
    from ase.data import covalent_radii

    radii = torch.tensor(covalent_radii, dtype=torch.float32)
    vectors, bond_lengths = [], []
    for frame in frames:
        edges = frame.edges
        vectors.append(edges.vectors.cpu())
        first, second = edges.numbers[edges.centers].cpu(), edges.neighbors.cpu()
        bond_lengths.append(BOND_FACTOR * (radii[first] + radii[second]))
    joined = torch.cat(vectors)
    distances = joined.norm(dim=1)
    return torch.cat([joined, distances[:, None]], dim=1), distances < torch.cat(bond_lengths)


@torch.no_grad()
def initialize_first_layer(model: PET, frames: Sequence[Frame], seed: int) -> None:
    """Give the layers that read distances kinks where ``frames`` have distances.

    Each unit is ``silu(a · (g - g₀))``, with ``|a|`` spread evenly on a logarithmic scale.

    ======= =========================================== ================
    symbol  is                                          variable
    ======= =========================================== ================
    ``g``   vector and distance of an edge, Å, 4 values
    ``g₀``  those of some edge of the data              ``kinks``
    ``a``   the unit's response, 1/Å, of random weights ``response``
    ``|a|`` its steepness, 1/Å                          ``slope``
    ======= =========================================== ================
    """
    edges, is_bond = edge_geometries(frames)
    if not len(edges):
        return
    generator = torch.Generator().manual_seed(seed)
    bonds = edges[is_bond] if is_bond.any() else edges

    def draw(rows: torch.Tensor, count: int) -> torch.Tensor:
        """Some of the rows, shape (count, …), each maybe more than once."""
        return rows[torch.randint(len(rows), (count,), generator=generator)]

    for layer in model.backend.gnn_layers:
        embed, hidden, out = layer.edge_embedder, layer.compress[0], layer.compress[2]
        d = embed.out_features
        uniform = torch.rand(d, generator=generator)
        slope = MIN_SLOPE * torch.exp(uniform * math.log(MAX_SLOPE / MIN_SLOPE))
        response = hidden.weight[:, :d] @ embed.weight  # (d, 4)
        anisotropic = torch.rand(d, 1, generator=generator) < ANISOTROPIC_SHARE
        response[:, :3] *= anisotropic.float()
        response *= (slope / response.norm(dim=1))[:, None]
        # rows of the embedding that carry x, y, z, r unchanged, so that any response is reachable
        axis = torch.arange(d) % 4
        embed.weight.zero_()
        embed.bias.zero_()
        embed.weight[torch.arange(d), axis] = EMBEDDING_WEIGHT
        hidden.weight[:, :d] = response[:, axis] / (EMBEDDING_WEIGHT * (d // 4))
        among_bonds = torch.rand(d, 1, generator=generator) < 0.5
        kinks = torch.where(among_bonds, draw(bonds, d), draw(edges, d))
        hidden.bias.copy_(-(response * kinks).sum(1))
        out.weight.mul_(OUTPUT_FACTOR / slope.sqrt())
