"""The network of a PET, written for edges in one row.

Architecture, names of weights and of variables are those of metatrain
(https://docs.metatensor.org/metatrain/latest/architectures/generated/pet.html; its
``pet/modules/backend.py`` and ``transformer.py`` can be read beside this). Neighbours are padded to
a rectangle only where they attend to each other, linear maps that follow each other directly are
multiplied beforehand, and of the heads only those asked for are computed.

Shapes: n atoms (nodes), e edges, Z largest atomic number, d any width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import torch
from torch.nn import functional

from .blocks import Block, join, recompute, split
from .config import PETConfig, silu
from .edges import Edges
from .padding import Padding, swap

__all__ = ["Network"]

T = TypeVar("T")

Embeddings: TypeAlias = tuple[torch.Tensor, torch.Tensor]
"""Of the atoms, shape (n, d_node), and of the edges, shape (e, d_pet)."""

BLOCK_SIZE = 2**18
"""Numbers in the embeddings of a block's edges. What a block takes is a few hundred times that."""


@dataclass(frozen=True, eq=False)
class FusedEmbedder:
    """How a message-passing layer reads an edge: ``edge_embedder`` and ``compress.0`` in one.

    Attributes:
        geometry: what multiplies vector and distance, shape (4, d_pet).
        species: what each atomic number adds, shape (Z + 1, d_pet).
        messages: what multiplies the messages, shape (d_pet, d_pet).
    """

    geometry: torch.Tensor
    species: torch.Tensor
    messages: torch.Tensor


class Network:
    """A PET.

    Args:
        config: its hyperparameters.
        weights: by metatrain's names, ``species_to_species_index`` with them. Gradients go to
            those that want any.
    """

    def __init__(self, config: PETConfig, weights: Mapping[str, torch.Tensor]) -> None:
        self.config, self._weights = config, weights
        self._index = weights["species_to_species_index"].clamp(min=0)  # -1 stands for unknown
        self._embedders = [self._fuse_embedders(k) for k in range(config.num_gnn_layers)]

    def __call__(
        self, edges: Edges, heads: Sequence[str], in_blocks: bool = False
    ) -> dict[str, torch.Tensor]:
        """Return what each head predicts for each atom, shape (n, values of the head).

        Args:
            edges: of n atoms.
            heads: their names.
            in_blocks: whether to do some atoms after the others and keep little for the gradient,
                which then takes a third of the memory and a third more time.
        """
        distances = torch.linalg.vector_norm(edges.vectors, dim=1, keepdim=True)
        geometry = torch.cat([edges.vectors, distances], 1)
        cutoff_factors = self.config.cutoff_factors(distances)
        max_edges = max(1, BLOCK_SIZE // self.config.d_pet) if in_blocks else None
        blocks = split(edges, geometry, cutoff_factors, max_edges)
        predictions: dict[str, torch.Tensor] = {}
        for k, features in enumerate(self._calculate_features(edges, blocks)):
            for head in heads:
                parts = [
                    self._call(blocks, self._predict_atoms, head, k, block, *embeddings)
                    for block, embeddings in zip(blocks, features, strict=True)
                ]
                atomic = join(parts)
                predictions[head] = predictions[head] + atomic if head in predictions else atomic
        return predictions

    def _calculate_features(
        self, edges: Edges, blocks: Sequence[Block]
    ) -> Iterator[list[Embeddings]]:
        """Run the message-passing layers; yield what the heads read, of each block."""
        residual = self.config.featurizer_type == "residual"

        atoms, rows = [b.n_atoms for b in blocks], [b.n_edges for b in blocks]

        def embed_nodes(layer: int) -> Sequence[torch.Tensor]:
            return self._embedding(f"node_embedders.{layer}", edges.numbers).split(atoms)

        nodes = embed_nodes(0)
        messages = [self._embedding("edge_embedder", block.neighbors) for block in blocks]
        for k in range(self.config.num_gnn_layers):
            if residual and k:
                nodes = embed_nodes(k)
            passed = [
                self._call(blocks, self._gnn_layer, k, *embeddings)
                for embeddings in zip(nodes, messages, blocks, strict=True)
            ]
            nodes = [of_nodes for of_nodes, _ in passed]
            forth = join([of_edges for _, of_edges in passed])
            del passed  # else there were two of them until the gradient is made
            back = swap(forth, edges)
            both = list(zip(forth.split(rows), back.split(rows), strict=True))
            if residual:
                yield [(n, of_edges) for n, (of_edges, _) in zip(nodes, both, strict=True)]
                messages = [0.5 * (m + back) for m, (_, back) in zip(messages, both, strict=True)]
            else:
                messages = [
                    self._call(blocks, self._combine, k, m, *embeddings)
                    for m, embeddings in zip(messages, both, strict=True)
                ]
        if not residual:
            yield list(zip(nodes, messages, strict=True))

    def _call(self, blocks: Sequence[Block], function: Callable[..., T], *args: Any) -> T:
        """Do a part of a layer for one block of several, or for all."""
        if len(blocks) > 1 and blocks[0].geometry.requires_grad:
            return recompute(function, *args)
        return function(*args)

    def _gnn_layer(
        self,
        layer: int,
        node_embeddings: torch.Tensor,
        messages: torch.Tensor,
        block: Block,
    ) -> Embeddings:
        """Pass through one message-passing layer, metatrain's ``CartesianTransformer``.

        Args:
            layer: its number.
            node_embeddings: shape (n, d_node).
            messages: shape (e, d_pet).
            block: n atoms with e edges.
        """
        embedder = self._embedders[layer]
        species = embedder.species.index_select(0, block.neighbors)
        edge_tokens = torch.addmm(species, block.geometry, embedder.geometry)
        if layer:  # the first messages are part of the species
            edge_tokens = edge_tokens + messages @ embedder.messages
        edge_embeddings = self._linear(silu(edge_tokens), f"gnn_layers.{layer}.compress.2")
        for j in range(self.config.num_attention_layers):
            node_embeddings, edge_embeddings = self._transformer_layer(
                f"gnn_layers.{layer}.trans.layers.{j}",
                node_embeddings,
                edge_embeddings,
                block.padding,
            )
        return node_embeddings, edge_embeddings

    def _combine(
        self, layer: int, messages: torch.Tensor, forth: torch.Tensor, back: torch.Tensor
    ) -> torch.Tensor:
        """Add to messages what a layer made of both directions of each edge; each (e, d_pet)."""
        concatenated = torch.cat([forth, back], 1)
        normed = self._norm(concatenated, f"combination_norms.{layer}", layer_norm=True)
        hidden = silu(self._linear(normed, f"combination_mlps.{layer}.0"))
        return messages + forth + self._linear(hidden, f"combination_mlps.{layer}.2")

    def _transformer_layer(
        self,
        name: str,
        node_embeddings: torch.Tensor,
        edge_embeddings: torch.Tensor,
        padding: Padding,
    ) -> Embeddings:
        """Pass through one transformer layer, shapes (n, d_node) and (e, d_pet)."""
        expanded = self.config.d_node != self.config.d_pet
        nodes = node_embeddings
        if expanded:
            nodes = self._linear(node_embeddings, f"{name}.center_contraction")
        if self.config.transformer_type == "preln":
            nodes, edge_embeddings = self._pre_ln(name, nodes, edge_embeddings, padding)
        else:
            nodes, edge_embeddings = self._post_ln(name, nodes, edge_embeddings, padding)
        if not expanded:
            return nodes, edge_embeddings
        node_embeddings = node_embeddings + self._linear(nodes, f"{name}.center_expansion")
        normed = self._norm(node_embeddings, f"{name}.norm_center_features")
        return node_embeddings + self._mlp(normed, f"{name}.center_mlp"), edge_embeddings

    def _pre_ln(
        self, name: str, nodes: torch.Tensor, edge_embeddings: torch.Tensor, padding: Padding
    ) -> Embeddings:
        """Attention and feed-forward part, each after a norm; shapes (n, d_pet) and (e, d_pet).

        As in metatrain, atoms get the attention's output alone: no residual, no feed-forward part.
        """
        attended_nodes, attended_edges = self._attention(
            name,
            self._norm(nodes, f"{name}.norm_attention"),
            self._norm(edge_embeddings, f"{name}.norm_attention"),
            padding,
        )
        edge_embeddings = edge_embeddings + attended_edges
        normed = self._norm(edge_embeddings, f"{name}.norm_mlp")
        return attended_nodes, edge_embeddings + self._mlp(normed, f"{name}.mlp")

    def _post_ln(
        self, name: str, nodes: torch.Tensor, edge_embeddings: torch.Tensor, padding: Padding
    ) -> Embeddings:
        """Attention and feed-forward part, each before a norm; shapes (n, d_pet) and (e, d_pet)."""
        attended = self._attention(name, nodes, edge_embeddings, padding)
        nodes, edge_embeddings = (
            self._norm(x + y, f"{name}.norm_attention")
            for x, y in zip((nodes, edge_embeddings), attended, strict=True)
        )
        nodes, edge_embeddings = (
            self._norm(x + self._mlp(x, f"{name}.mlp"), f"{name}.norm_mlp")
            for x in (nodes, edge_embeddings)
        )
        return nodes, edge_embeddings

    def _attention(
        self, name: str, nodes: torch.Tensor, edge_embeddings: torch.Tensor, padding: Padding
    ) -> Embeddings:
        """Let each atom and its edges attend to each other.

        ``softmax(Q Kᵀ / (√d T) + log f) V`` for each head

        ========= ========================= ===================
        symbol    variable                  shape
        ========= ========================= ===================
        ``Q K V`` ``queries, keys, values`` (n, heads, k, d)
        ``T``     ``attention_temperature``
        ``log f`` ``padding.mask``          (n, 1, 1, k)
        ========= ========================= ===================

        Args:
            name: of the transformer layer.
            nodes: shape (n, d_pet).
            edge_embeddings: shape (e, d_pet).
            padding: of the edges.

        Returns:
            Shapes (n, d_pet) and (e, d_pet).
        """
        first, last = f"{name}.attention.input_linear", f"{name}.attention.output_linear"
        tokens = padding.pad(self._linear(nodes, first), self._linear(edge_embeddings, first))
        n, k, width = tokens.shape
        heads = self.config.num_heads
        head_dim = width // (3 * heads)
        queries, keys, values = tokens.view(n, k, 3, heads, head_dim).permute(2, 0, 3, 1, 4)
        scale = 1 / (head_dim**0.5 * self.config.attention_temperature)
        if tokens.requires_grad:  # torch's own has no second gradient, nor one by the mask
            scores = (scale * queries) @ keys.transpose(2, 3) + padding.mask
            attended = scores.softmax(3) @ values
        else:
            attended = functional.scaled_dot_product_attention(
                queries, keys, values, attn_mask=padding.mask, scale=scale
            )
        nodes, edge_embeddings = padding.unpad(attended.transpose(1, 2).reshape(n, k, -1))
        return self._linear(nodes, last), self._linear(edge_embeddings, last)

    def _predict_atoms(
        self, head: str, layer: int, block: Block, nodes: torch.Tensor, edges: torch.Tensor
    ) -> torch.Tensor:
        """What a head predicts for each atom of a block, shape (n, values of the head).

        Args:
            head: its name.
            layer: whose features these are.
            block: n atoms with e edges.
            nodes: features, shape (n, d_node).
            edges: features, shape (e, d_pet).
        """
        atomic = self._predict("node", head, layer, nodes)
        of_edges = self._predict("edge", head, layer, edges) * block.cutoff_factors
        return atomic.index_add(0, block.centers, of_edges)

    def _predict(self, kind: str, head: str, layer: int, features: torch.Tensor) -> torch.Tensor:
        """What a head predicts for each row, shape (rows, values of the head).

        Args:
            kind: ``node`` or ``edge``.
            head: its name.
            layer: whose features these are.
            features: shape (n, d_node) or (e, d_pet).
        """
        name = f"{kind}_heads.{head}.{layer}"
        hidden = silu(self._linear(silu(self._linear(features, f"{name}.0")), f"{name}.2"))
        return self._linear(hidden, f"{kind}_last_layers.{head}.{layer}.{head}___0")

    def _mlp(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """The feed-forward part, shape (rows, d) as ``x``."""
        return self._linear(self.config.activate(self._linear(x, f"{name}.w_in")), f"{name}.w_out")

    def _norm(self, x: torch.Tensor, name: str, layer_norm: bool = False) -> torch.Tensor:
        """Normalise the rows of ``x``, shape (rows, d), as configured or by a layer norm."""
        weight, bias = self._weights[f"{name}.weight"], self._weights.get(f"{name}.bias")
        if layer_norm:
            return functional.layer_norm(x, x.shape[1:], weight, bias)
        return self.config.norm(x, weight, bias)

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """A linear layer, from shape (rows, d) to (rows, d')."""
        return functional.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _embedding(self, name: str, numbers: torch.Tensor | None = None) -> torch.Tensor:
        """Rows of an embedding, shape (rows, d): for ``numbers``, shape (rows,), or for 0 to Z."""
        index = self._index if numbers is None else self._index.index_select(0, numbers)
        return self._weights[f"{name}.weight"].index_select(0, index)

    def _fuse_embedders(self, layer: int) -> FusedEmbedder:
        """Multiply out what a layer does to geometry and species before its first silu.

        ``G (E g + e) + S s + M m + b`` is ``(G E) g + (G e + S s + b) + M m``

        ========= ====================================== ==============
        symbol    weights                                variable
        ========= ====================================== ==============
        ``G S M`` columns of ``compress.0.weight``       ``of_geometry, of_species, of_messages``
        ``b``     ``compress.0.bias``                    ``bias``
        ``E e``   ``edge_embedder``                      ``embed, offset``
        ``g``     vector and distance of the edge
        ``s``     ``neighbor_embedder`` of its neighbour
        ``m``     messages; in the first layer ``edge_embedder`` of the species, and no ``S s``
        ========= ====================================== ==============
        """
        name = f"gnn_layers.{layer}"
        weight, bias = (self._weights[f"{name}.compress.0.{x}"] for x in ("weight", "bias"))
        of_geometry, *of_species, of_messages = weight.T.split(self.config.d_pet)
        embed, offset = (self._weights[f"{name}.edge_embedder.{x}"] for x in ("weight", "bias"))
        species = bias + offset @ of_geometry
        if layer:
            species = species + self._embedding(f"{name}.neighbor_embedder") @ of_species[0]
        else:  # the first messages are the species
            species = species + self._embedding("edge_embedder") @ of_messages
        return FusedEmbedder(embed.T @ of_geometry, species, of_messages)
