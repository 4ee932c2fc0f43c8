"""Runs an exported PET by its weights, edge by edge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import metatomic.torch as mta
import numpy as np
import torch
from numpy.typing import NDArray

from ...base import ForceResult, Structure
from ...errors import Unsupported
from ..engine import EngineOutputs, cut, symmetric, to_numpy
from ..slots import Slots
from .config import PETConfig
from .edges import Edges, VerletList
from .memory import GradientMemory
from .network import Network

__all__ = ["PetEngine"]

WEIGHTS_PREFIX = "backend."
UNITS = {"energy": ("eV",), "force": ("eV/Angstrom", "eV/A"), "stress": ("eV/Angstrom^3", "eV/A^3")}


class PetEngine:
    """A PET that metatrain exported.

    An :class:`~halfkick.models.backends.engine.Engine`.

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
        module, state = backbone(model)
        if getattr(module, "original_name", "") != "PET":
            raise Unsupported("it is no PET")
        for part in ("long_range", "backend"):
            if not hasattr(module, part):
                raise Unsupported(f"no {part}: it is of another version")
        if module.long_range or any(k.startswith("additive_models.1") for k in state):
            raise Unsupported("long-range or pair forces")
        check_units(model.capabilities(), names)
        config = PETConfig.from_backend(module.backend)
        weights = {
            name.removeprefix(WEIGHTS_PREFIX): weight
            for name, weight in state.items()
            if name.startswith(WEIGHTS_PREFIX)
        }
        check_weights(config, weights, names.values())
        self._dtype = dtype
        self._network = Network(config, weights)
        self._memory = GradientMemory(config, dtype.itemsize) if device.type == "cpu" else None
        size = len(weights["species_to_species_index"])

        def read_table(name: str) -> torch.Tensor:
            """A scale or baseline by atomic number, shape (size, 1)."""
            return species_table(buffer(state, f"{name}_buffer"), size, dtype, device)

        self._scales = {name: read_table(f"scaler.{name}_scaler") for name in names.values()}
        self._baseline = torch.zeros(size, 1, dtype=dtype, device=device)
        if "energy" in names:
            self._baseline = read_table(f"additive_models.0.{names['energy']}_composition")
        self._lists: Slots[VerletList] = Slots(
            lambda kept: VerletList(config.cutoff, skin * kept, device)
        )

    def find_neighbors(self, structures: Sequence[Structure]) -> Edges:
        """The edges of some structures, side by side."""
        return Edges.join([self._lists[s.slot].edges(s, self._dtype) for s in structures])

    def run(
        self,
        structures: Sequence[Structure],
        kinds: Mapping[str, str],
        virial: bool,
        gradients: bool = True,
    ) -> EngineOutputs:
        """Pass once through the model."""
        edges = self.find_neighbors(structures)
        with_energy = "energy" in kinds
        gradients &= with_energy
        in_blocks = self._memory is not None and not self._memory.fits(len(edges.centers))
        if gradients:
            edges = edges.differentiable()
        with torch.set_grad_enabled(gradients):
            predictions = self._network(edges, [*kinds.values()], in_blocks)
        values = {
            kind: predictions[name] * self._scales[name][edges.numbers]
            for kind, name in kinds.items()
        }
        direct = direct_results(structures, values, edges) if "force" in values else None
        if not with_energy:
            return EngineOutputs(structures, direct, None)
        energies = values["energy"]
        return EngineOutputs(
            structures,
            direct,
            lambda: self._conservative_results(structures, energies, edges, virial, gradients),
        )

    def _conservative_results(
        self,
        structures: Sequence[Structure],
        energies: torch.Tensor,
        edges: Edges,
        virial: bool,
        gradients: bool,
    ) -> Iterable[ForceResult]:
        """Differentiate the energies of n atoms, shape (n, 1), eV, if that is asked for."""
        by_position, by_strain = energies.new_zeros(len(energies), 3), None
        if gradients:
            by_position, by_strain = edges.differentiate(energies.sum(), strain=virial)
        with torch.no_grad():
            energies = (energies[:, 0] + self._baseline[edges.numbers, 0]).double()
            totals = edges.sum_systems(energies)
        return split_results(structures, totals, -by_position, by_strain)


def backbone(model: mta.AtomisticModel) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """The network that makes energies and forces, and its weights by their names in it.

    LLPR has it inside of it, and adds uncertainties to what it gives.
    """
    module, prefix = model.module, "module."
    if getattr(module, "original_name", "") == "LLPRUncertaintyModel":
        module, prefix = module.model, "module.model."
    state = model.state_dict()
    return module, {k.removeprefix(prefix): w for k, w in state.items() if k.startswith(prefix)}


def direct_results(
    structures: Sequence[Structure], values: Mapping[str, torch.Tensor], edges: Edges
) -> Iterable[ForceResult]:
    """Take direct forces as they are, and sum what each atom adds to the virial.

    Args:
        structures: n atoms in all.
        values: ``force``, shape (n, 3), eV/Å, and if the model has it ``stress``, shape (n, 9), eV:
            stress times volume.
        edges: of the structures.

    Returns:
        Virials are zero for structures that are not periodic in all directions.
    """
    totals = None
    if "stress" in values:
        totals = edges.sum_systems(values["stress"].detach())
    periodic = np.array([s.pbc.all() for s in structures])
    return split_results(structures, None, values["force"], totals, periodic[:, None, None])


def split_results(
    structures: Sequence[Structure],
    energies: torch.Tensor | None,
    forces: torch.Tensor,
    by_strain: torch.Tensor | None,
    factors: NDArray[np.bool_] | float = 1.0,
) -> Iterator[ForceResult]:
    """Give each of s structures with n atoms in all its own; what is ``None`` is zero.

    Args:
        structures: the structures.
        energies: shape (s,), eV.
        forces: shape (n, 3), eV/Å.
        by_strain: minus the virials, with 9 numbers for each structure, eV; their symmetric part
            counts.
        factors: of the virials, shape (s, 1, 1).
    """
    count = len(structures)
    totals = np.zeros(count) if energies is None else to_numpy(energies)
    virials = np.zeros((count, 3, 3))
    if by_strain is not None:
        virials = -symmetric(to_numpy(by_strain).reshape(-1, 3, 3)) * factors
    for energy, own, virial in zip(totals, cut(to_numpy(forces), structures), virials, strict=True):
        yield ForceResult(float(energy), own, virial)


def species_table(
    buffer: torch.Tensor, size: int, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """Read a number for each species, or one for all, as metatrain stores it.

    Returns:
        By atomic number, shape (size, 1).
    """
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
    """What the model holds under that name, of any shape; Unsupported if it does not."""
    if name not in state:
        raise Unsupported(f"no {name}")
    return state[name]


def check_weights(
    config: PETConfig, weights: Mapping[str, torch.Tensor], heads: Iterable[str]
) -> None:
    """Raise Unsupported if parts have other names than here; their shapes are not looked at."""
    layers = [f"gnn_layers.{k}" for k in range(config.num_gnn_layers)]
    wanted = ["species_to_species_index", "edge_embedder.weight", "node_embedders.0.weight"]
    for layer in layers:
        wanted += [f"{layer}.{x}.weight" for x in ("compress.0", "compress.2", "edge_embedder")]
        for k in range(config.num_attention_layers):
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
