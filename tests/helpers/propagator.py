"""A network that knows the motion of pairs on springs."""

# ruff: noqa: UP006, UP035, UP045 (TorchScript and metatomic want the old spelling)

import math
from pathlib import Path
from typing import Dict, List, Optional

import torch
from ase import units
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import AtomisticModel, ModelCapabilities, ModelMetadata, ModelOutput, System

K = 10.0  # eV/Å²: a period of 20 fs for O and H
STRIDE_FS = 8.0
MASSES = {1: 1.008, 8: 15.999}  # nearly i-PI's


class Propagator(torch.nn.Module):
    """Moves them exactly.

    Args:
        stride_fs: by so much.
        spoil_beyond: Å; the momenta of pairs that are farther apart are doubled.
    """

    def __init__(self, stride_fs: float, spoil_beyond: float) -> None:
        super().__init__()
        self.stiffness, self.spoil_beyond = K, spoil_beyond
        self.time = stride_fs * units.fs
        self.register_buffer("timestep", torch.tensor(stride_fs))
        masses = torch.full((9,), float("nan"), dtype=torch.float64)
        for number, mass in MASSES.items():
            masses[number] = mass
        self.register_buffer("masses", masses)

    def requested_inputs(self) -> Dict[str, ModelOutput]:
        return {"momentum": ModelOutput(unit="(eV*u)^(1/2)", sample_kind="atom")}

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        system = systems[0]
        q = system.positions.reshape(-1, 2, 3)
        p = system.get_data("momentum").block().values.reshape(-1, 2, 3)
        m = self.masses[system.types.long()].to(q.dtype).reshape(-1, 2, 1)
        total = m.sum(dim=1)
        reduced = m[:, 0] * m[:, 1] / total
        omega = torch.sqrt(self.stiffness / reduced)
        cos, sin = torch.cos(omega * self.time), torch.sin(omega * self.time)
        whole = p.sum(dim=1)
        r, pr = q[:, 0] - q[:, 1], reduced * (p[:, 0] / m[:, 0] - p[:, 1] / m[:, 1])
        centre = (m * q).sum(dim=1) / total + whole * self.time / total
        new_r = r * cos + pr / (reduced * omega) * sin
        new_pr = pr * cos - reduced * omega * r * sin
        new_q = torch.stack(
            [centre + m[:, 1] / total * new_r, centre - m[:, 0] / total * new_r], dim=1
        )
        new_p = torch.stack(
            [m[:, 0] / total * whole + new_pr, m[:, 1] / total * whole - new_pr], dim=1
        )
        spoiled = (r**2).sum(dim=1).sqrt() > self.spoil_beyond
        new_p = torch.where(spoiled[:, None, None], 2.0 * new_p, new_p)
        given = system.get_data("momentum")
        results: Dict[str, TensorMap] = {}
        for name, values in [("position", new_q), ("momentum", new_p)]:
            properties = Labels([name], torch.zeros(1, 1, dtype=torch.int32))
            samples, components = given.block().samples, given.block().components
            block = TensorBlock(values.reshape(-1, 3, 1), samples, components, properties)
            results[name] = TensorMap(given.keys, [block])
        return results


def write_network(path: Path, stride_fs: float = STRIDE_FS, spoil_beyond: float = math.inf) -> None:
    """Export the propagator."""
    capabilities = ModelCapabilities(
        outputs={
            "position": ModelOutput(unit="Angstrom", sample_kind="atom"),
            "momentum": ModelOutput(unit="(eV*u)^(1/2)", sample_kind="atom"),
        },
        atomic_types=[*MASSES],
        interaction_range=10.0,
        length_unit="Angstrom",
        supported_devices=["cpu"],
        dtype="float64",
    )
    module = Propagator(stride_fs, spoil_beyond).eval()
    AtomisticModel(module, ModelMetadata(), capabilities).save(str(path))
