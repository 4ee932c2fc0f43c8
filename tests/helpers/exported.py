"""Small metatomic models, exported to a file, in whatever names and units a test needs."""

# ruff: noqa: UP006, UP035, UP045 (TorchScript and metatomic want the old spelling)

import warnings
from typing import Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)


class SoftSpheres(torch.nn.Module):
    """Pair energy ``(1 - r²/c²)⁴``, direct forces that swirl, a direct stress of 0.01 times one.

    ``length`` and ``energy`` are the model's units in Å and eV. For more than ``greedy_beyond``
    structures it asks for more memory than any machine has.
    """

    def __init__(
        self,
        suffix: str,
        force_name: str,
        length: float,
        energy: float,
        greedy_beyond: int = 1000,
    ) -> None:
        super().__init__()
        self.greedy_beyond = greedy_beyond
        self.energy_name = "energy" + suffix
        self.force_name = force_name + suffix
        self.stress_name = "non_conservative_stress" + suffix
        self.cutoff = 3.0 / length
        self.length = length
        self.energy = energy

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        return [NeighborListOptions(cutoff=self.cutoff, full_list=True, strict=True)]

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        energies: List[torch.Tensor] = []
        forces: List[torch.Tensor] = []
        stresses: List[torch.Tensor] = []
        atoms: List[List[int]] = []
        if len(systems) > self.greedy_beyond:
            energies.append(torch.zeros(1 << 60).sum())
        for index, system in enumerate(systems):
            block = system.get_neighbor_list(self.requested_neighbor_lists()[0])
            d = block.values.reshape(-1, 3)
            x = 1.0 - (d**2).sum(dim=1) / self.cutoff**2
            energies.append(0.5 * (x**4).sum() / self.energy)
            swirl = torch.stack([-d[:, 1], d[:, 0], d[:, 2]], dim=1) * x.reshape(-1, 1) ** 2
            zeros = torch.zeros_like(system.positions)
            first = block.samples.column("first_atom").to(torch.int64)
            forces.append(zeros.index_add(0, first, swirl) * self.length**2 / self.energy)
            stresses.append(0.01 * torch.eye(3, dtype=d.dtype) * self.length**3 / self.energy)
            for atom in range(len(system)):
                atoms.append([index, atom])
        structures = Labels(["system"], torch.arange(len(systems)).reshape(-1, 1))
        results: Dict[str, TensorMap] = {}
        if self.energy_name in outputs:
            results[self.energy_name] = wrap(
                torch.stack(energies).reshape(-1, 1), structures, 0, "energy"
            )
        if self.force_name in outputs:
            results[self.force_name] = wrap(
                torch.cat(forces).reshape(-1, 3, 1),
                Labels(["system", "atom"], torch.tensor(atoms)),
                1,
                "force",
            )
        if self.stress_name in outputs:
            results[self.stress_name] = wrap(
                torch.stack(stresses).reshape(-1, 3, 3, 1), structures, 2, "stress"
            )
        return results


def wrap(values: torch.Tensor, samples: Labels, rank: int, name: str) -> TensorMap:
    components: List[Labels] = []
    for axis in range(rank):
        label = "xyz" if rank == 1 else "xyz_" + str(axis + 1)
        components.append(Labels([label], torch.arange(3).reshape(-1, 1)))
    block = TensorBlock(values, samples, components, Labels([name], torch.tensor([[0]])))
    return TensorMap(Labels(["_"], torch.tensor([[0]])), [block])


def export(
    path,
    *,
    variant=None,
    force_name="non_conservative_force",
    kinds=("energy", "force", "stress"),
    length_unit="angstrom",
    length=1.0,
    energy_unit="eV",
    energy=1.0,
    devices=("cpu",),
    greedy_beyond=1000,
):
    """Write the model and return the path."""
    suffix = "" if variant is None else f"/{variant}"
    module = SoftSpheres(suffix, force_name, length, energy, greedy_beyond)
    named = {
        "energy": (module.energy_name, energy_unit),
        "force": (module.force_name, f"{energy_unit}/{length_unit}"),
        "stress": (module.stress_name, f"{energy_unit}/{length_unit}^3"),
    }
    with warnings.catch_warnings():  # of names that are deprecated: some tests are about them
        warnings.simplefilter("ignore")
        outputs = {
            name: ModelOutput(unit=unit, sample_kind="atom" if kind == "force" else "system")
            for kind, (name, unit) in named.items()
            if kind in kinds
        }
        capabilities = ModelCapabilities(
            outputs=outputs,
            atomic_types=[1, 8],
            interaction_range=module.cutoff,
            length_unit=length_unit,
            supported_devices=list(devices),
            dtype="float64",
        )
        model = AtomisticModel(module.eval(), ModelMetadata(), capabilities)
        model.save(path)
    return path
