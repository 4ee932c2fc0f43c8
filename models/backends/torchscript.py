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
        outputs, leaves = self.evaluate(structures, options(kinds), gradients, virial)
        values = {kind: outputs[name] for kind, name in kinds.items()}
        direct = direct_results(structures, values) if "force" in values else None
        if not with_energy:
            return EngineOutputs(structures, direct, None)
        if not gradients:
            return EngineOutputs(
                structures, direct, lambda: underived(values["energy"], structures)
            )
        return EngineOutputs(structures, direct, lambda: derivatives(values["energy"], leaves))

    def evaluate(
        self,
        structures: Sequence[Structure],
        outputs: Mapping[str, mta.ModelOutput],
        gradients: bool,
        virial: bool,
        as_given: bool = False,
    ) -> tuple[dict[str, torch.Tensor], list[Leaves]]:
        """Pass once through the model.

        Args:
            structures: B of them, with ΣN atoms.
            outputs: what to compute, by the model's names.
            gradients: whether there will be derivatives.
            virial: whether by strain, too.
            as_given: whether to leave atoms where they are, instead of near the origin.

        Returns:
            The values of each output, shape (B or ΣN, …), and for each structure what to
            differentiate by.
        """
        asked = mta.ModelEvaluationOptions(length_unit="Angstrom", outputs=dict(outputs))
        with torch.set_grad_enabled(gradients):
            prepared = [
                self._prepare(s, gradients, gradients and virial, as_given) for s in structures
            ]
            # TorchScript's optimiser takes seconds in the first passes and gains nothing on a CPU;
            # torch does not list the function that switches it off
            with torch.jit.optimized_execution(self._optimised):  # type: ignore[attr-defined]
                maps = self._model([s for s, _ in prepared], asked, check_consistency=False)
        values = {name: maps[name].block().values for name in outputs}
        return values, [leaves for _, leaves in prepared]

    def find_neighbors(self, structures: Sequence[Structure]) -> None:
        """Make the neighbour lists."""
        for structure in structures:
            self._prepare(structure, gradients=False, virial=False)

    def _prepare(
        self, structure: Structure, gradients: bool, virial: bool, as_given: bool = False
    ) -> tuple[mta.System, Leaves]:
        """Return the system with its neighbour lists, and what to differentiate by."""
        dtype, device = self._dtype, self._device
        slot = structure.slot
        lists, images = self.lists[(slot, "as given") if as_given and slot is not None else slot]
        near = structure.positions if as_given else images.near_origin(structure)
        positions = torch.tensor(near, requires_grad=gradients, dtype=dtype, device=device)
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


def options(kinds: Mapping[str, str]) -> dict[str, mta.ModelOutput]:
    """Say to metatomic what is to be computed, in our units."""
    return {
        name: mta.ModelOutput(unit=UNITS[kind], sample_kind="atom" if kind == "force" else "system")
        for kind, name in kinds.items()
    }


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
