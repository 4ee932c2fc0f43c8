"""What a PET computes, written for edges in one row.

Architecture and names of weights are those of metatrain
(https://docs.metatensor.org/metatrain/latest/architectures/generated/pet.html). Neighbours are
padded to a rectangle only where they attend to each other, linear maps that follow each other
directly are multiplied beforehand, and of the heads only those asked for are computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from .config import Shape, silu
from .edges import Edges
from .padding import Grid, reversed_edges

__all__ = ["Network"]

Features = tuple[torch.Tensor, torch.Tensor]
"""Of the n atoms and the e edges."""


@dataclass(frozen=True, eq=False)
class Input:
    """How a message-passing layer reads an edge.

    Attributes:
        geometry: (4, d) what multiplies vector and distance.
        species: (Z + 1, d) what each atomic number adds.
        messages: (d, d) what multiplies the messages.
    """

    geometry: torch.Tensor
    species: torch.Tensor
    messages: torch.Tensor


class Network:
    """A PET.

    Args:
        shape: its options.
        weights: by metatrain's names, ``species_to_species_index`` with them. Gradients go to
            those that want any.
    """

    def __init__(self, shape: Shape, weights: Mapping[str, torch.Tensor]) -> None:
        self.shape, self._weights = shape, weights
        self._index = weights["species_to_species_index"].clamp(min=0)  # -1 stands for unknown
        self._inputs = [self._fold(f"gnn_layers.{k}", k) for k in range(shape.num_gnn_layers)]

    def __call__(self, edges: Edges, heads: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return what each head says of each atom, (n, values)."""
        distances = torch.linalg.vector_norm(edges.vectors, dim=1, keepdim=True)
        geometry = torch.cat([edges.vectors, distances], 1)
        weights = self.shape.weight(distances)
        grid = Grid(edges, weights)
        said: dict[str, torch.Tensor] = {}
        for k, (atoms, along) in enumerate(self._features(edges, geometry, grid)):
            for head in heads:
                own = self._head("node", head, k, atoms)
                own = own.index_add(0, edges.centers, self._head("edge", head, k, along) * weights)
                said[head] = said[head] + own if head in said else own
        return said

    def _features(self, edges: Edges, geometry: torch.Tensor, grid: Grid) -> Iterator[Features]:
        """Run the message-passing layers; yield what the heads read."""
        residual = self.shape.featurizer_type == "residual"
        atoms = self._of_species("node_embedders.0", edges.numbers)
        messages = None
        for k, layer in enumerate(self._inputs):
            if residual and k:
                atoms = self._of_species(f"node_embedders.{k}", edges.numbers)
            tokens = torch.addmm(
                layer.species.index_select(0, edges.neighbors), geometry, layer.geometry
            )
            if messages is None:
                messages = self._of_species("edge_embedder", edges.neighbors)
            else:
                tokens = tokens + messages @ layer.messages
            along = self._linear(silu(tokens), f"gnn_layers.{k}.compress.2")
            for j in range(self.shape.num_attention_layers):
                atoms, along = self._transform(
                    f"gnn_layers.{k}.trans.layers.{j}", atoms, along, grid
                )
            back = reversed_edges(along, edges)
            if residual:
                yield atoms, along
                messages = 0.5 * (messages + back)
            else:
                mixed = self._norm(torch.cat([along, back], 1), f"combination_norms.{k}", True)
                mixed = silu(self._linear(mixed, f"combination_mlps.{k}.0"))
                messages = messages + along + self._linear(mixed, f"combination_mlps.{k}.2")
        if not residual and messages is not None:
            yield atoms, messages

    def _transform(
        self, name: str, atoms: torch.Tensor, along: torch.Tensor, grid: Grid
    ) -> Features:
        """Pass through one transformer layer."""
        wide = self.shape.d_node != self.shape.d_pet
        own = self._linear(atoms, f"{name}.center_contraction") if wide else atoms
        attended, fed = f"{name}.norm_attention", f"{name}.norm_mlp"
        if self.shape.transformer_type == "preln":
            heard, news = self._attend(
                name, self._norm(own, attended), self._norm(along, attended), grid
            )
            along = along + news
            own, along = heard, along + self._feed(self._norm(along, fed), f"{name}.mlp")
        else:
            heard, news = self._attend(name, own, along, grid)
            both = self._norm(own + heard, attended), self._norm(along + news, attended)
            own, along = (self._norm(x + self._feed(x, f"{name}.mlp"), fed) for x in both)
        if not wide:
            return own, along
        atoms = atoms + self._linear(own, f"{name}.center_expansion")
        centers = self._norm(atoms, f"{name}.norm_center_features")
        return atoms + self._feed(centers, f"{name}.center_mlp"), along

    def _attend(self, name: str, atoms: torch.Tensor, along: torch.Tensor, grid: Grid) -> Features:
        """Let each atom and its edges attend to each other."""
        first, last = f"{name}.attention.input_linear", f"{name}.attention.output_linear"
        tokens = grid.fill(self._linear(atoms, first), self._linear(along, first))
        n, k, width = tokens.shape
        heads = self.shape.num_heads
        size = width // (3 * heads)
        queries, keys, values = tokens.view(n, k, 3, heads, size).permute(2, 0, 3, 1, 4)
        scale = 1 / (size**0.5 * self.shape.attention_temperature)
        if tokens.requires_grad:  # torch's own has no second gradient, nor one by the mask
            scores = (scale * queries) @ keys.transpose(2, 3) + grid.mask
            heard = scores.softmax(3) @ values
        else:
            heard = functional.scaled_dot_product_attention(
                queries, keys, values, attn_mask=grid.mask, scale=scale
            )
        atoms, along = grid.take(heard.transpose(1, 2).reshape(n, k, -1))
        return self._linear(atoms, last), self._linear(along, last)

    def _head(self, kind: str, head: str, layer: int, x: torch.Tensor) -> torch.Tensor:
        """What a head says of each row."""
        name = f"{kind}_heads.{head}.{layer}"
        hidden = silu(self._linear(silu(self._linear(x, f"{name}.0")), f"{name}.2"))
        return self._linear(hidden, f"{kind}_last_layers.{head}.{layer}.{head}___0")

    def _feed(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """The feed-forward part."""
        return self._linear(self.shape.activate(self._linear(x, f"{name}.w_in")), f"{name}.w_out")

    def _norm(self, x: torch.Tensor, name: str, layer: bool = False) -> torch.Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights.get(f"{name}.bias")
        if layer:
            return functional.layer_norm(x, x.shape[1:], weight, bias)
        return self.shape.norm(x, weight, bias)

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _of_species(self, name: str, numbers: torch.Tensor | None = None) -> torch.Tensor:
        """The rows of an embedding by atomic number, all of them or some."""
        index = self._index if numbers is None else self._index.index_select(0, numbers)
        return self._weights[f"{name}.weight"].index_select(0, index)

    def _fold(self, name: str, layer: int) -> Input:
        """Multiply out what a layer does to geometry and species before its first silu."""
        into, bias = (self._weights[f"{name}.compress.0.{x}"] for x in ("weight", "bias"))
        of_geometry, *of_species, of_messages = into.T.split(self.shape.d_pet)
        embed, offset = (self._weights[f"{name}.edge_embedder.{x}"] for x in ("weight", "bias"))
        species = bias + offset @ of_geometry
        if layer:
            species = species + self._of_species(f"{name}.neighbor_embedder") @ of_species[0]
        else:  # the first messages are the species
            species = species + self._of_species("edge_embedder") @ of_messages
        return Input(embed.T @ of_geometry, species, of_messages)
