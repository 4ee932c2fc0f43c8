"""Runs any exported model as it is: TorchScript through metatomic, gradients by autograd."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import metatomic.torch as mta
import numpy as np
import torch
from vesin.metatomic import NeighborList

from ..base import ForceResult, Structure
from .engine import EngineOutputs, cut, symmetric, to_numpy
from .slots import Slots
from .wrap import Images

__all__ = ["TorchScriptEngine"]

UNITS = {"energy": "eV", "force": "eV/Angstrom", "stress": "eV/Angstrom^3"}

Leaves = tuple[torch.Tensor, ...]
"""What to differentiate by: the positions, and the strain if the virial is needed."""


class TorchScriptEngine:
    """An exported model, run by TorchScript.

    Args:
        model: on its device.
        dtype: of its weights.
        device: where it is.
        skin: of the neighbour lists, Å.
    """

    def __init__(
        self, model: mta.AtomisticModel, dtype: torch.dtype, device: torch.device, skin: float
    ) -> None:
        self._model = model
        self._dtype, self._device = dtype, device
        self._optimised = device.type != "cpu"
        if self._optimised:  # kernels for any shape: it is another in each step
            torch.jit.set_fusion_strategy([("DYNAMIC", 10)])
        wanted = model.requested_neighbor_lists()
        self.lists: Slots[tuple[list[NeighborList], Images]] = Slots(
            lambda kept: (
                [NeighborList(o, "Angstrom", skin=skin * kept) for o in wanted],
                Images(),
            )
        )

    def run(
        self,
        structures: Sequence[Structure],
        kinds: Mapping[str, str],
        virial: bool,
        gradients: bool = True,
    ) -> EngineOutputs:
        """Pass once through the model."""
        with_energy = "energy" in kinds
        gradients &= with_energy
        with torch.set_grad_enabled(gradients):
            prepared = [self._prepare(s, gradients, gradients and virial) for s in structures]
            # TorchScript's optimiser takes seconds in the first passes and gains nothing on a CPU;
            # torch does not list the function that switches it off
            with torch.jit.optimized_execution(self._optimised):  # type: ignore[attr-defined]
                outputs = self._model(
                    [system for system, _ in prepared], options(kinds), check_consistency=False
                )
        values = {kind: outputs[name].block().values for kind, name in kinds.items()}
        direct = direct_results(structures, values) if "force" in values else None
        if not with_energy:
            return EngineOutputs(structures, direct, None)
        if not gradients:
            return EngineOutputs(
                structures, direct, lambda: underived(values["energy"], structures)
            )
        leaves = [leaves for _, leaves in prepared]
        return EngineOutputs(structures, direct, lambda: derivatives(values["energy"], leaves))

    def find_neighbors(self, structures: Sequence[Structure]) -> None:
        """Make the neighbour lists."""
        for structure in structures:
            self._prepare(structure, gradients=False, virial=False)

    def _prepare(
        self, structure: Structure, gradients: bool, virial: bool
    ) -> tuple[mta.System, Leaves]:
        """Return the system with its neighbour lists, and what to differentiate by."""
        dtype, device = self._dtype, self._device
        lists, images = self.lists[structure.slot]
        positions = torch.tensor(
            images.near_origin(structure), requires_grad=gradients, dtype=dtype, device=device
        )
        strain = torch.eye(3, requires_grad=True, dtype=dtype, device=device) if virial else None
        # A System wants zero vectors along directions that are not periodic.
        cell = torch.tensor(structure.cell * structure.pbc[:, None], dtype=dtype, device=device)
        system = mta.System(
            types=torch.tensor(structure.numbers, dtype=torch.int32, device=device),
            positions=positions if strain is None else positions @ strain,
            cell=cell if strain is None else cell @ strain,
            pbc=torch.tensor(structure.pbc, device=device),
        )
        for neighbors in lists:
            neighbors.add_neighbor_list(system)
        return system, (positions,) if strain is None else (positions, strain)


def options(kinds: Mapping[str, str]) -> mta.ModelEvaluationOptions:
    """Say to metatomic what is to be computed, in our units."""
    outputs = {
        name: mta.ModelOutput(unit=UNITS[kind], sample_kind="atom" if kind == "force" else "system")
        for kind, name in kinds.items()
    }
    return mta.ModelEvaluationOptions(length_unit="Angstrom", outputs=outputs)


def direct_results(
    structures: Sequence[Structure], values: Mapping[str, torch.Tensor]
) -> Iterable[ForceResult]:
    """Cut what the model gives for all structures into results.

    Args:
        structures: those of the pass.
        values: ``force``, shape (ΣN, 3, 1), eV/Å; perhaps ``stress``, shape (B, 3, 3, 1), eV/Å³.
    """
    forces = cut(to_numpy(values["force"]).reshape(-1, 3), structures)
    stresses = np.zeros((len(structures), 3, 3))
    if "stress" in values:
        stresses = to_numpy(values["stress"]).reshape(-1, 3, 3)
    for structure, force, stress in zip(structures, forces, stresses, strict=True):
        volume = abs(np.linalg.det(structure.cell)) if structure.pbc.all() else 0.0
        yield ForceResult(0.0, force, -volume * symmetric(stress))


def underived(energies: torch.Tensor, structures: Sequence[Structure]) -> Iterable[ForceResult]:
    """The energies, shape (B, 1), eV, beside forces of zero."""
    for energy, structure in zip(to_numpy(energies.reshape(-1)), structures, strict=True):
        yield ForceResult(float(energy), np.zeros_like(structure.positions), np.zeros((3, 3)))


def derivatives(energies: torch.Tensor, leaves: Sequence[Leaves]) -> Iterable[ForceResult]:
    """Differentiate the energies, shape (B, 1), eV, by the leaves of each structure."""
    inputs = [leaf for some in leaves for leaf in some]
    # lone atoms: an energy may not depend on all of them, nor on the strain
    gradients = iter(torch.autograd.grad(-energies.sum(), inputs, materialize_grads=True))
    for energy, some in zip(to_numpy(energies.reshape(-1)), leaves, strict=True):
        forces, *rest = map(to_numpy, islice(gradients, len(some)))
        yield ForceResult(float(energy), forces, symmetric(rest[0]) if rest else np.zeros((3, 3)))
