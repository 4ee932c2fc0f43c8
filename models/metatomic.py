"""Exported metatomic models: PET, PET-MAD and everything else saved as an ``AtomisticModel``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import metatomic.torch as mta
import numpy as np
import torch
from numpy.typing import NDArray

from halfkick.models.base import (
    ForceModel,
    ForceResult,
    ModelError,
    Role,
    Structure,
)
from halfkick.models.exported import (
    capabilities,
    check_runs_as_asked,
    load_exported,
    output_names,
)
from halfkick.models.neighbors import SKIN, NeighborLists

__all__ = ["MetatomicModel"]

UNITS = {"energy": "eV", "force": "eV/Angstrom", "stress": "eV/Angstrom^3"}


class MetatomicModel(ForceModel):
    """An exported model, evaluated for either role or for both in one pass.

    Args:
        path: the ``.pt`` file.
        device: where it runs.
        dtype: ``None`` for the one the model was exported with. Another one converts its weights;
            a model that has its own written into its code then fails to evaluate.
        variant: which variant of the outputs: ``energy/NAME`` and so on.
        extensions: folder of the TorchScript extensions that the model needs.
        chunk: structures per pass; ``None`` for all. By default 1 on a CPU, where a batch takes
            longer than its structures one by one, and all on a GPU.
        skin: of the neighbour lists, Å.

    Raises:
        ModelError: if the file is no such model or the model cannot run as asked.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        device: str = "cpu",
        dtype: str | None = None,
        variant: str | None = None,
        extensions: str | None = None,
        chunk: int | None = None,
        skin: float = SKIN,
    ) -> None:
        self.name = Path(path).stem
        model = load_exported(path, extensions)
        declared = model.capabilities()
        check_runs_as_asked(self.name, model, device)
        self.dtype = getattr(torch, dtype or declared.dtype)
        self.device = torch.device(device)
        self.chunk = 1 if chunk is None and self.device.type == "cpu" else chunk
        self._model = model.to(device=self.device, dtype=self.dtype)
        self._neighbors = NeighborLists(model.requested_neighbor_lists(), skin=skin)
        self._names = output_names(self.name, declared.outputs.keys(), variant)
        self.capabilities = capabilities(declared, self._names)

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        """Evaluate the structures, ``chunk`` of them in each forward pass.

        Direct forces alone need no gradient, and none is made. The direct virial is zero for a
        structure that is not periodic in all three directions.

        Raises:
            ModelError: if a role or a species is not offered or the model fails.
        """
        for structure in structures:
            for role in roles:
                self.check(structure.numbers, role)
        size = self.chunk or max(len(structures), 1)
        results: list[Mapping[Role, ForceResult]] = []
        try:
            for start in range(0, len(structures), size):
                results += self._evaluate_chunk(structures[start : start + size], roles)
        except (RuntimeError, ValueError, torch.jit.Error) as error:  # also out of memory
            raise ModelError(
                f"expected model '{self.name}' to evaluate {len(structures)} structures in "
                f"{self.dtype} on {self.device}, got: {last_line(error)}; "
                f"check the structure, try a smaller chunk or the model's own dtype"
            ) from error
        return results

    def _evaluate_chunk(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        conservative = Role.CONSERVATIVE in roles
        with torch.set_grad_enabled(conservative):
            prepared = [self._prepare(s, conservative) for s in structures]
            systems = [system for system, _, _ in prepared]
            # TorchScript's optimiser takes seconds in the first passes and gains nothing on a CPU.
            with torch.jit.optimized_execution(self.device.type != "cpu"):
                outputs = self._model(
                    systems, self._evaluation_options(roles), check_consistency=False
                )
            results: list[dict[Role, ForceResult]] = [{} for _ in structures]
            if conservative:
                leaves = [(positions, strain) for _, positions, strain in prepared]
                for result, given in zip(results, self._conservative(outputs, leaves), strict=True):
                    result[Role.CONSERVATIVE] = given
        if Role.DIRECT in roles:
            for result, given in zip(results, self._direct(outputs, structures), strict=True):
                result[Role.DIRECT] = given
        return results

    def _prepare(
        self, structure: Structure, gradients: bool
    ) -> tuple[mta.System, torch.Tensor, torch.Tensor]:
        """Return the system with its neighbour lists, and positions and strain to differentiate."""
        to = {"dtype": self.dtype, "device": self.device}
        positions = torch.tensor(structure.positions, requires_grad=gradients, **to)
        strain = torch.eye(3, requires_grad=gradients, **to)
        # A System wants zero vectors along directions that are not periodic.
        cell = torch.tensor(np.where(structure.pbc[:, None], structure.cell, 0.0), **to)
        system = mta.System(
            types=torch.tensor(structure.numbers, dtype=torch.int32, device=self.device),
            positions=positions @ strain if gradients else positions,
            cell=cell @ strain if gradients else cell,
            pbc=torch.tensor(structure.pbc, device=self.device),
        )
        self._neighbors.add(system, structure.slot)
        return system, positions, strain

    def _conservative(
        self,
        outputs: Mapping[str, torch.ScriptObject],
        leaves: Sequence[tuple[torch.Tensor, torch.Tensor]],
    ) -> Iterable[ForceResult]:
        """Differentiate the energies by (positions, strain) of each structure."""
        energies = outputs[self._names["energy"]].block().values.reshape(-1)
        inputs = [leaf for pair in leaves for leaf in pair]
        # lone atoms: an energy may not depend on all of them, nor on the strain
        gradients = torch.autograd.grad(-energies.sum(), inputs, materialize_grads=True)
        for energy, forces, virial in zip(
            to_numpy(energies), gradients[::2], gradients[1::2], strict=True
        ):
            yield ForceResult(float(energy), to_numpy(forces), symmetric(to_numpy(virial)))

    def _direct(
        self, outputs: Mapping[str, torch.ScriptObject], structures: Sequence[Structure]
    ) -> Iterable[ForceResult]:
        """Read the direct outputs; forces come for the atoms of all structures in one array."""
        forces = to_numpy(outputs[self._names["force"]].block().values).reshape(-1, 3)
        stresses = np.zeros((len(structures), 3, 3))
        if "stress" in self._names:
            values = outputs[self._names["stress"]].block().values
            stresses = to_numpy(values).reshape(-1, 3, 3)
        first = 0
        for structure, stress in zip(structures, stresses, strict=True):
            last = first + len(structure.numbers)
            volume = abs(np.linalg.det(structure.cell))
            virial = -volume * symmetric(stress) if structure.pbc.all() else np.zeros((3, 3))
            yield ForceResult(0.0, forces[first:last], virial)
            first = last

    def _evaluation_options(self, roles: frozenset[Role]) -> mta.ModelEvaluationOptions:
        kinds = ["energy"] if Role.CONSERVATIVE in roles else []
        kinds += ["force", "stress"] if Role.DIRECT in roles else []
        return mta.ModelEvaluationOptions(
            length_unit="Angstrom",
            outputs={
                self._names[kind]: mta.ModelOutput(
                    unit=UNITS[kind], sample_kind="atom" if kind == "force" else "system"
                )
                for kind in kinds
                if kind in self._names
            },
        )


def to_numpy(tensor: torch.Tensor) -> NDArray[np.float64]:
    """Return the values as float64 on the CPU."""
    return tensor.detach().to(device="cpu", dtype=torch.float64).numpy()


def last_line(error: Exception) -> str:
    """Return what an error says in the end: TorchScript puts its own traceback before."""
    return next((line for line in reversed(str(error).splitlines()) if line.strip()), "nothing")


def symmetric(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric part."""
    return 0.5 * (matrix + matrix.T)
