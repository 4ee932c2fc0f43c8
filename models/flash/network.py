"""A trained network: positions and momenta one stride ahead (FlashMD, arXiv 2505.19350)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import metatomic.torch as mta
import numpy as np
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from numpy.typing import NDArray
from vesin.metatomic import NeighborList

from ..backends.engine import to_numpy
from ..backends.exported import load_exported
from ..backends.slots import SKIN
from ..backends.wrap import Images
from ..base import Structure
from ..errors import ModelError

__all__ = ["MOMENTUM_UNIT", "OUTPUTS", "FlashNetwork", "add_momenta"]

MOMENTUM_UNIT = "(eV*u)^(1/2)"
OUTPUTS = {
    "position": mta.ModelOutput(unit="Angstrom", sample_kind="atom"),
    "momentum": mta.ModelOutput(unit=MOMENTUM_UNIT, sample_kind="atom"),
}
SAME_MASS = 1e-3  # relative: packages round masses differently

Array = NDArray[np.float64]


class FlashNetwork:
    """An exported metatomic model with the outputs ``position`` and ``momentum``.

    It is not told of masses: they are those of its training, which it holds.

    Args:
        path: the ``.pt`` file.
        device: where it runs.
        skin: of the neighbour lists, Å; zero if structures do not follow each other in time.

    Attributes:
        stride_fs: how far ahead it predicts.

    Raises:
        ModelError: if the file is no such model.
    """

    def __init__(self, path: Path | str, device: str = "cpu", skin: float = SKIN) -> None:
        self.path, self._device = Path(path), torch.device(device)
        model = load_exported(path, None)
        declared = model.capabilities()
        if lacking := OUTPUTS.keys() - declared.outputs.keys():
            raise ModelError(
                f"expected a network with the outputs position and momentum, got '{path}' without "
                f"{' and '.join(sorted(lacking))}; train one with halfkick flash train"
            )
        self._dtype: torch.dtype = getattr(torch, declared.dtype)
        self._model = model.to(device=self._device)
        self._species = set(declared.atomic_types)
        self._masses, stride = (self._held(name) for name in ("masses", "timestep"))
        self.stride_fs = float(stride)
        self._options = mta.ModelEvaluationOptions(length_unit="Angstrom", outputs=OUTPUTS)
        self._lists = [
            NeighborList(o, "Angstrom", skin=skin) for o in model.requested_neighbor_lists()
        ]
        self._images = Images()

    def check(self, numbers: NDArray[np.int_], masses: Array) -> None:
        """Raise ModelError unless it was trained for such atoms.

        Args:
            numbers: atomic numbers, shape (N,).
            masses: amu, shape (N,).
        """
        if unknown := {*numbers.tolist()} - self._species:
            raise ModelError(
                f"expected species with atomic numbers {sorted(self._species)} for '{self.path}', "
                f"got {sorted(unknown)}; train a network on runs of this system"
            )
        for number, own in zip(numbers.tolist(), masses.tolist(), strict=True):
            known = float(self._masses[number])
            if abs(own - known) > SAME_MASS * known:
                raise ModelError(
                    f"expected a mass of {known:.4f} amu for atomic number {number}, with which "
                    f"'{self.path}' was trained, got {own:.4f}; train another network"
                )

    def step(self, structure: Structure, momenta: Array) -> tuple[Array, Array]:
        """Predict one stride ahead.

        Args:
            structure: N atoms.
            momenta: shape (N, 3), (eV amu)^½.

        Returns:
            Displacements in Å, and momenta, each of shape (N, 3); nothing is conserved yet.

        Raises:
            ModelError: if the network fails.
        """
        near = replace(structure, positions=self._images.near_origin(structure))
        try:
            # as in backends/torchscript.py
            optimised = torch.jit.optimized_execution(self._device.type != "cpu")  # type: ignore[attr-defined]
            with torch.no_grad(), optimised:
                system = self._system(near, momenta)
                outputs = self._model([system], self._options, check_consistency=False)
        except (RuntimeError, ValueError, torch.jit.Error) as error:
            last = str(error).strip().splitlines()[-1]
            raise ModelError(f"expected '{self.path}' to predict a step, got: {last}") from error
        positions, new = (to_numpy(outputs[name].block().values).reshape(-1, 3) for name in OUTPUTS)
        return positions - to_numpy(system.positions), new

    def _system(self, structure: Structure, momenta: Array) -> mta.System:
        def tensor(array: Any) -> torch.Tensor:
            return torch.tensor(array, dtype=self._dtype, device=self._device)

        system = mta.System(
            types=torch.tensor(structure.numbers, dtype=torch.int32, device=self._device),
            positions=tensor(structure.positions),
            cell=tensor(structure.cell * structure.pbc[:, None]),
            pbc=torch.tensor(structure.pbc, device=self._device),
        )
        for neighbors in self._lists:
            neighbors.add_neighbor_list(system)
        add_momenta(system, tensor(momenta))
        return system

    def _held(self, name: str) -> torch.Tensor:
        """A buffer of the network."""
        held = dict(self._model.module.named_buffers())
        if name not in held:
            raise ModelError(f"expected '{name}' in the network '{self.path}', got none")
        return held[name].double().cpu()


def add_momenta(system: mta.System, momenta: torch.Tensor) -> None:
    """Give a system of N atoms its momenta, shape (N, 3), (eV amu)^½."""
    device = momenta.device
    atoms = torch.arange(len(momenta), dtype=torch.int32, device=device)
    block = TensorBlock(
        momenta.unsqueeze(-1),
        Labels(["system", "atom"], torch.stack([torch.zeros_like(atoms), atoms], dim=1)),
        [Labels.range("xyz", 3).to(device)],
        Labels.range("momentum", 1).to(device),
    )
    data = TensorMap(Labels.single().to(device), [block])
    data.set_info("unit", MOMENTUM_UNIT)
    system.add_data("momentum", data)
