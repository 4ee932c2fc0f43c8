"""An exported metatomic model with an ensemble, uncertainties and other outputs, in float64.

Its energy is that of soft pairs, ``E = ½ Σ (1 - r²/c²)⁴``. Member k of the ensemble has
``(1 + k/10) E``, so that all its derivatives are known; the variant ``wide`` of it ``(1 + k) E``.
An atom's uncertainty is a hundredth of its part of the energy, that of ``wide`` ten times as much.
"""

# ruff: noqa: UP006, UP035, UP045 (TorchScript and metatomic want the old spelling)

from typing import Dict, List, Optional

import torch
from exported import wrap
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)

CUTOFF = 3.0
MEMBERS = 3


class Committee(torch.nn.Module):
    """As above, times ``factor``; with ``broken`` the ensemble is one for each atom, as of LLPR."""

    def __init__(self, broken: bool, factor: float) -> None:
        super().__init__()
        self.broken = broken
        self.factor = factor

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        return [NeighborListOptions(cutoff=3.0, full_list=True, strict=True)]

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        parts: List[torch.Tensor] = []
        forces: List[torch.Tensor] = []
        dipoles: List[torch.Tensor] = []
        charges: List[torch.Tensor] = []
        atoms: List[List[int]] = []
        for index, system in enumerate(systems):
            block = system.get_neighbor_list(self.requested_neighbor_lists()[0])
            d = block.values.reshape(-1, 3)
            x = 1.0 - (d**2).sum(dim=1) / 9.0
            first = block.samples.column("first_atom").to(torch.int64)
            zeros = torch.zeros(len(system), dtype=d.dtype)
            parts.append(zeros.index_add(0, first, 0.5 * self.factor * x**4))
            pull = d * (x**3).reshape(-1, 1)
            forces.append(torch.zeros_like(system.positions).index_add(0, first, -3.0 * pull))
            q = 0.1 * (system.types - 4).to(d.dtype)
            charges.append(q)
            dipoles.append((q.reshape(-1, 1) * system.positions).sum(dim=0))
            for atom in range(len(system)):
                atoms.append([index, atom])
        energies = torch.stack([part.sum() for part in parts]).reshape(-1, 1)
        structures = Labels(["system"], torch.arange(len(systems)).reshape(-1, 1))
        of_atoms = Labels(["system", "atom"], torch.tensor(atoms))
        k = torch.arange(3, dtype=energies.dtype).reshape(1, -1)
        results: Dict[str, TensorMap] = {}
        for name in outputs:
            if name == "energy":
                results[name] = wrap(energies, structures, 0, "energy")
            if name == "non_conservative_force":
                values = torch.cat(forces).reshape(-1, 3, 1)
                results[name] = wrap(values, of_atoms, 1, "force")
            if name.startswith("energy_ensemble"):
                spread = 1.0 if name.endswith("/wide") else 0.1
                members = energies * (1.0 + spread * k)
                labels = structures
                if self.broken:
                    members = torch.cat(parts).reshape(-1, 1) * (1.0 + spread * k)
                    labels = of_atoms
                properties = Labels(["energy"], torch.arange(3).reshape(-1, 1))
                block = TensorBlock(members, labels, [], properties)
                results[name] = TensorMap(Labels(["_"], torch.tensor([[0]])), [block])
            if name.startswith("energy_uncertainty"):
                sigma = 0.1 if name.endswith("/wide") else 0.01
                values = sigma * torch.cat(parts).reshape(-1, 1)
                results[name] = wrap(values, of_atoms, 0, "energy")
            if name == "mtt::dipole":
                values = torch.stack(dipoles).reshape(-1, 3, 1)
                results[name] = wrap(values, structures, 1, "dipole")
            if name == "mtt::charge":
                if outputs[name].sample_kind == "system":
                    values = torch.stack([q.sum() for q in charges]).reshape(-1, 1)
                    results[name] = wrap(values, structures, 0, "charge")
                else:
                    values = torch.cat(charges).reshape(-1, 1)
                    results[name] = wrap(values, of_atoms, 0, "charge")
        return results


def export(path, *, broken=False, factor=1.0, without=()):
    """Write the model and return the path."""
    units = {
        "energy": ("eV", "system"),
        "non_conservative_force": ("eV/Angstrom", "atom"),
        "energy_ensemble": ("eV", "system"),
        "energy_ensemble/wide": ("eV", "system"),
        "energy_uncertainty": ("eV", "atom"),
        "energy_uncertainty/wide": ("eV", "atom"),
        "mtt::dipole": ("e*nm", "system"),
        "mtt::charge": ("e", "atom"),
    }
    outputs = {
        name: ModelOutput(unit=unit, sample_kind=kind)
        for name, (unit, kind) in units.items()
        if name not in without
    }
    capabilities = ModelCapabilities(
        outputs=outputs,
        atomic_types=[1, 8],
        interaction_range=CUTOFF,
        length_unit="angstrom",
        supported_devices=["cpu"],
        dtype="float64",
    )
    model = AtomisticModel(Committee(broken, factor).eval(), ModelMetadata(), capabilities)
    model.save(path)
    return path
