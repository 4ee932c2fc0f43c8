"""Runs an exported PET by its weights, edge by edge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import metatomic.torch as mta
import numpy as np
import torch

from ...base import ForceResult, Structure
from ...errors import Unsupported
from ..engine import Outputs, cut, symmetric, to_numpy
from ..slots import Slots
from .config import Shape
from .edges import Edges, VerletList
from .network import Network

__all__ = ["PetEngine"]

BACKEND = "module.backend."
UNITS = {"energy": ("eV",), "force": ("eV/Angstrom", "eV/A"), "stress": ("eV/Angstrom^3", "eV/A^3")}


class PetEngine:
    """A PET that metatrain exported.

    Args:
        model: on its device.
        names: of its outputs, by kind: ``energy``, ``force``, ``stress``.
        dtype: of its weights.
        device: where it is.
        skin: of the neighbour lists, Å.

    Raises:
        Unsupported: if it is no PET, or one with a part that is not known here.
    """

    def __init__(
        self,
        model: mta.AtomisticModel,
        names: Mapping[str, str],
        dtype: torch.dtype,
        device: torch.device,
        skin: float,
    ) -> None:
        module, state = model.module, model.state_dict()
        if getattr(module, "original_name", "") != "PET":
            raise Unsupported("it is no PET")
        for part in ("long_range", "backend"):
            if not hasattr(module, part):
                raise Unsupported(f"no {part}: it is of another version")
        if module.long_range or any(k.startswith("module.additive_models.1") for k in state):
            raise Unsupported("long-range or pair forces")
        check_units(model.capabilities(), names)
        shape = Shape.of(module.backend)
        weights = {k.removeprefix(BACKEND): v for k, v in state.items() if k.startswith(BACKEND)}
        check_weights(shape, weights, names.values())
        self._dtype = dtype
        self._network = Network(shape, weights)
        table = {"size": len(weights["species_to_species_index"]), "dtype": dtype, "device": device}
        self._scales = {
            name: by_species(buffer(state, f"scaler.{name}_scaler_buffer"), **table)
            for name in names.values()
        }
        self._baseline = None
        if "energy" in names:
            name = f"additive_models.0.{names['energy']}_composition_buffer"
            self._baseline = by_species(buffer(state, name), **table)
        self.lists: Slots[VerletList] = Slots(
            lambda kept: VerletList(shape.cutoff, skin * kept, device)
        )

    def find_neighbors(self, structures: Sequence[Structure]) -> Edges:
        """The edges of some structures, side by side."""
        return Edges.join([self.lists[s.slot].edges(s, self._dtype) for s in structures])

    def run(
        self, structures: Sequence[Structure], kinds: Mapping[str, str], virial: bool
    ) -> Outputs:
        """Pass once through the model."""
        edges = self.find_neighbors(structures)
        gradients = "energy" in kinds
        if gradients:
            edges = edges.differentiable()
        with torch.set_grad_enabled(gradients):
            said = self._network(edges, [*kinds.values()])
        values = {
            kind: said[name] * self._scales[name][edges.numbers] for kind, name in kinds.items()
        }
        direct = self._direct(structures, values, edges) if "force" in values else None
        if not gradients:
            return Outputs(structures, direct, None)
        return Outputs(
            structures,
            direct,
            lambda: self._derivatives(structures, values["energy"], edges, virial),
        )

    def _direct(
        self, structures: Sequence[Structure], values: Mapping[str, torch.Tensor], edges: Edges
    ) -> Iterable[ForceResult]:
        """Cut the forces, and sum what each atom adds to the virial."""
        virials = np.zeros((len(structures), 3, 3))
        if "stress" in values:
            totals = sums(values["stress"], edges.systems, len(structures))
            periodic = np.array([s.pbc.all() for s in structures])
            virials = -symmetric(to_numpy(totals).reshape(-1, 3, 3)) * periodic[:, None, None]
        for forces, virial in zip(cut(to_numpy(values["force"]), structures), virials, strict=True):
            yield ForceResult(0.0, forces, virial)

    def _derivatives(
        self,
        structures: Sequence[Structure],
        energies: torch.Tensor,
        edges: Edges,
        virial: bool,
    ) -> Iterable[ForceResult]:
        """Differentiate the energies."""
        (gradient,) = torch.autograd.grad(energies.sum(), edges.vectors)
        with torch.no_grad():
            forces = -to_numpy(edges.by_position(gradient))
            virials = np.zeros((len(structures), 3, 3))
            if virial:
                virials = -symmetric(to_numpy(edges.by_strain(gradient, len(structures))))
            energies = (energies[:, 0] + self._baseline[edges.numbers, 0]).double()
            totals = sums(energies, edges.systems, len(structures))
        parts = cut(forces, structures)
        for energy, forces, virial in zip(to_numpy(totals), parts, virials, strict=True):
            yield ForceResult(float(energy), forces, virial)


def sums(values: torch.Tensor, systems: torch.Tensor, count: int) -> torch.Tensor:
    """Sum what belongs to atoms over each system."""
    return values.new_zeros(count, *values.shape[1:]).index_add(0, systems, values.detach())


def by_species(
    buffer: torch.Tensor, size: int, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """Read a number for each species, or one for all, as metatrain stores it; (size, 1)."""
    import metatensor.torch as mts

    block = mts.load_buffer(buffer.cpu()).block()
    if block.values.numel() != len(block.samples):
        raise Unsupported("an output with a scale or baseline for each component")
    table = torch.zeros(size, 1, dtype=dtype)
    species = block.samples.values[:, 0].tolist()
    if len(species) == 1:
        table[:] = block.values
    elif block.samples.names == ["center_type"]:
        table[species] = block.values.reshape(-1, 1).to(dtype)
    elif block.values.unique().numel() == 1:
        table[:] = block.values.flatten()[0]
    else:
        raise Unsupported("an output with a scale for each species")
    return table.to(device)


def buffer(state: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    """What the model holds under that name; Unsupported if it does not."""
    if f"module.{name}" not in state:
        raise Unsupported(f"no {name}")
    return state[f"module.{name}"]


def check_weights(shape: Shape, weights: Mapping[str, torch.Tensor], heads: Iterable[str]) -> None:
    """Raise Unsupported if parts have other names than those of the versions known here."""
    layers = [f"gnn_layers.{k}" for k in range(shape.num_gnn_layers)]
    wanted = ["species_to_species_index", "edge_embedder.weight", "node_embedders.0.weight"]
    for layer in layers:
        wanted += [f"{layer}.{x}.weight" for x in ("compress.0", "compress.2", "edge_embedder")]
        for k in range(shape.num_attention_layers):
            parts = ("attention.input_linear", "attention.output_linear", "mlp.w_in", "mlp.w_out")
            wanted += [f"{layer}.trans.layers.{k}.{part}.weight" for part in parts]
    wanted += [f"{layer}.neighbor_embedder.weight" for layer in layers[1:]]
    for head in heads:
        wanted += [f"{x}_heads.{head}.0.0.weight" for x in ("node", "edge")]
        wanted += [f"{x}_last_layers.{head}.0.{head}___0.weight" for x in ("node", "edge")]
    missing = [name for name in wanted if name not in weights]
    if missing:
        raise Unsupported(f"no weights {missing[0]}")


def check_units(declared: mta.ModelCapabilities, names: Mapping[str, str]) -> None:
    """Raise Unsupported unless the model speaks eV and Å."""
    found = {kind: declared.outputs[name].unit for kind, name in names.items()}
    if declared.length_unit.lower() not in ("angstrom", "a") or any(
        unit not in UNITS[kind] for kind, unit in found.items()
    ):
        raise Unsupported(f"units {declared.length_unit}, {', '.join(found.values())}")
