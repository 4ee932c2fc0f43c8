"""The network and its loss: metatrain's FlashMD, its targets in units of their size by species.

What it learns are displacements and changes of momenta. Their sizes by species, which go with the
masses, are those of the training pairs; the exported network multiplies by them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import metatomic.torch as mta
import numpy as np
import torch
from metatensor.torch import TensorBlock
from numpy.typing import NDArray
from vesin.metatomic import NeighborList

from ..backends.pet.metatrain import check_installed, export
from ..train.options import ATTENTION_LAYERS, SIZES
from ..train.worker.loop import TrainingLoop
from .network import MOMENTUM_UNIT, OUTPUTS, add_momenta
from .pairs import Pair

if TYPE_CHECKING:
    from metatrain.experimental.flashmd import FlashMD

__all__ = ["FlashLoop", "Sample", "Sizes", "new", "sizes_of", "write"]

TARGETS = {"position": ("length", "angstrom"), "momentum": ("momentum", MOMENTUM_UNIT)}

Sizes = Mapping[str, Mapping[int, float]]
"""Root mean square of each target's components, by atomic number."""


def sizes_of(pairs: Sequence[Pair]) -> Sizes:
    """The sizes of displacements, Å, and changes of momenta, (eV amu)^½."""
    numbers = np.concatenate([pair.structure.numbers for pair in pairs])
    found = {}
    for target, name in (("position", "moved"), ("momentum", "gained")):
        values = np.concatenate([getattr(pair, name) for pair in pairs])
        found[target] = {
            z: float(np.sqrt((values[numbers == z] ** 2).mean()))
            for z in np.unique(numbers).tolist()
        }
    return found


def new(
    masses: Mapping[int, float], stride_fs: float, size: str, cutoff: float, sizes: Sizes
) -> FlashMD:
    """A network with fresh weights.

    Args:
        masses: by atomic number, amu.
        stride_fs: how far ahead it predicts.
        size: as of :mod:`halfkick.models.train`.
        cutoff: of one of two message-passing layers, Å.
        sizes: of what it is trained on.
    """
    check_installed()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from metatrain.experimental.flashmd import FlashMD
        from metatrain.utils.architectures import get_default_hypers
        from metatrain.utils.data import DatasetInfo
        from metatrain.utils.data.target_info import get_generic_target_info
        from omegaconf import OmegaConf

    targets = {}
    for name, (quantity, unit) in TARGETS.items():
        told = {"quantity": quantity, "unit": unit, "type": {"cartesian": {"rank": 1}}}
        fixed = {"sample_kind": "atom", "per_atom": True, "num_subtargets": 1, "description": ""}
        targets[name] = get_generic_target_info(name, OmegaConf.create(told | fixed))
    info = DatasetInfo(length_unit="angstrom", atomic_types=sorted(masses), targets=targets)
    hypers = get_default_hypers("experimental.flashmd")["model"] | {
        **SIZES[size],
        "cutoff": cutoff,
        "cutoff_width": 0.2 * cutoff,
        "num_attention_layers": ATTENTION_LAYERS[size],
        "num_gnn_layers": 2,
        "predict_momenta_as_difference": True,
    }
    network = FlashMD(hypers, info)
    network.set_masses(dict(masses))
    network.set_timestep(stride_fs)
    set_sizes(network, sizes)
    return network


def set_sizes(network: FlashMD, sizes: Sizes) -> None:
    """Let an evaluated network multiply by the sizes."""
    import metatensor.torch as mts

    scaler = network.scaler
    scaler.model.fit(fixed_weights=sizes, targets_to_fit=[*sizes])
    for kind, maps in (("", scaler.model.scales), ("_per_target", scaler.model.per_target_scales)):
        for name in sizes:
            held = mts.make_contiguous(maps[name].to("cpu", torch.float64))
            scaler.register_buffer(f"{name}{kind}_scaler_buffer", mts.save_buffer(held))


def write(network: FlashMD, path: Path) -> None:
    """Export a network as a metatomic model."""
    export(network, path)


@dataclass(frozen=True, eq=False)
class Sample:
    """A pair as tensors, with its neighbours.

    Attributes:
        system: without data and neighbours; what follows is turned with it.
        neighbors: their list's options and block.
        momenta: shape (N, 3).
        targets: displacements and changes of momenta in units of their sizes, shape (N, 2, 3).
    """

    system: mta.System
    neighbors: tuple[mta.NeighborListOptions, TensorBlock]
    momenta: torch.Tensor
    targets: torch.Tensor

    @classmethod
    def of(cls, pair: Pair, network: FlashMD, sizes: Sizes, device: str) -> Sample:
        """Convert a pair for a network."""

        def tensor(array: NDArray[np.float64]) -> torch.Tensor:
            return torch.tensor(array, dtype=torch.float32, device=device)

        s = pair.structure
        system = mta.System(
            torch.tensor(s.numbers, dtype=torch.int32, device=device),
            tensor(s.positions),
            tensor(s.cell * s.pbc[:, None]),
            torch.tensor(s.pbc, device=device),
        )
        (options,) = network.requested_neighbor_lists()
        NeighborList(options, "angstrom").add_neighbor_list(system)
        scaled = []
        for target, values in (("position", pair.moved), ("momentum", pair.gained)):
            of_atom = np.array([sizes[target][z] for z in s.numbers.tolist()])
            scaled.append(values / of_atom[:, None])
        block = system.get_neighbor_list(options)
        bare = mta.System(system.types, system.positions, system.cell, system.pbc)
        targets = tensor(np.stack(scaled, axis=1))
        return cls(bare, (options, block), tensor(pair.momenta), targets)

    def turned(self, rotation: torch.Tensor) -> tuple[mta.System, torch.Tensor]:
        """The system and the targets as a rotation, shape (3, 3), makes them."""
        old = self.system
        rotation = rotation.to(old.positions)
        system = mta.System(old.types, old.positions @ rotation, old.cell @ rotation, old.pbc)
        options, block = self.neighbors
        vectors = (block.values[..., 0] @ rotation)[..., None]
        system.add_neighbor_list(
            options, TensorBlock(vectors, block.samples, block.components, block.properties)
        )
        add_momenta(system, self.momenta @ rotation)
        return system, self.targets @ rotation


class Holder(torch.nn.Module):
    """Has a network where a training loop looks for it."""

    def __init__(self, network: FlashMD) -> None:
        super().__init__()
        self.backend = network


class FlashLoop(TrainingLoop):
    """Trains a network on samples; see :class:`~halfkick.models.train.worker.loop.TrainingLoop`."""

    def __init__(self, network: FlashMD, samples: Sequence[Sample], **options: Any) -> None:
        holder: Any = Holder(network)
        frames: Any = samples
        super().__init__(holder, frames, scale=1.0, **options)

    def loss(self) -> torch.Tensor:
        """Mean square error of both targets in units of their sizes, shape ()."""
        chosen: list[Any]
        chosen, rotations = self.choose(self.frames, stream=0)
        systems, targets = zip(
            *(s.turned(r) for s, r in zip(chosen, rotations, strict=True)), strict=True
        )
        outputs = self.model.backend([*systems], OUTPUTS)
        predicted = torch.stack([outputs[name].block().values[..., 0] for name in TARGETS], dim=1)
        return (predicted - torch.cat(targets)).square().mean()
