"""Exported metatomic models: any model that is saved as an ``AtomisticModel``."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import metatomic.torch as mta
import numpy as np
import torch

from halfkick.models.base import (
    ForceModel,
    ForceResult,
    ModelError,
    Role,
    Structure,
)
from halfkick.models.chunks import ChunkSize
from halfkick.models.exported import (
    capabilities,
    check_runs_as_asked,
    load_exported,
    output_names,
)
from halfkick.models.neighbors import SKIN, NeighborLists
from halfkick.models.outputs import Leaves, Outputs

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
        chunk: structures in a pass; ``None`` for as many as turn out to be quickest.
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
        self._model = model.to(device=self.device, dtype=self.dtype)
        if self.device.type != "cpu":  # kernels for any shape: it is another in each step
            torch.jit.set_fusion_strategy([("DYNAMIC", 10)])
        self._chunks: defaultdict[Hashable, ChunkSize] = defaultdict(partial(ChunkSize, chunk))
        self.neighbors = NeighborLists(model.requested_neighbor_lists(), skin=skin)
        self._names = output_names(self.name, declared.outputs.keys(), variant)
        self.capabilities = capabilities(declared, self._names)

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        """Evaluate the structures, in as many passes as is quickest.

        Direct forces alone need no gradient, and none is made. Virials are zero where they are not
        needed; the direct one also for a structure that is not periodic in all directions.

        Raises:
            ModelError: if a role or a species is not offered or the model fails.
        """
        *_, results = self.evaluate_in_parts(structures, roles)
        return results

    def evaluate_in_parts(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> Iterator[list[Mapping[Role, ForceResult]]]:
        """Evaluate, and yield the direct results before the last gradient is made."""
        for structure in structures:
            for role in roles:
                self.check(structure.numbers, role)
        results: list[Mapping[Role, ForceResult]] = []
        while rest := structures[len(results) :]:
            chunks = self._chunks[roles, len(rest[0].numbers)]
            chunk = rest[: chunks.of(len(rest))]
            start = time.perf_counter()
            try:
                outputs = self._forward(chunk, roles)
                if len(roles) > 1 and len(chunk) == len(rest):
                    yield results + outputs.direct
                results += outputs.complete()
            except (RuntimeError, ValueError, torch.jit.Error) as error:
                if not is_out_of_memory(error) or len(chunk) == 1:
                    raise ModelError(
                        f"expected model '{self.name}' to evaluate {len(chunk)} structures in "
                        f"{self.dtype} on {self.device}, got: {last_line(error)}; "
                        f"check the structure, or try the model's own dtype"
                    ) from error
                chunks.halve(len(chunk))
            else:
                chunks.note(len(chunk), time.perf_counter() - start)
        yield results

    def system(
        self,
        structure: Structure,
        positions: torch.Tensor | None = None,
        strain: torch.Tensor | None = None,
    ) -> mta.System:
        """Return a structure as the model wants it, without neighbour lists.

        Args:
            structure: in Å.
            positions: to use instead of the structure's.
            strain: to apply to positions and cell.
        """
        to = {"dtype": self.dtype, "device": self.device}
        if positions is None:
            positions = torch.tensor(structure.positions, **to)
        # A System wants zero vectors along directions that are not periodic.
        cell = torch.tensor(np.where(structure.pbc[:, None], structure.cell, 0.0), **to)
        if strain is not None:
            positions, cell = positions @ strain, cell @ strain
        return mta.System(
            types=torch.tensor(structure.numbers, dtype=torch.int32, device=self.device),
            positions=positions,
            cell=cell,
            pbc=torch.tensor(structure.pbc, device=self.device),
        )

    def _forward(self, structures: Sequence[Structure], roles: frozenset[Role]) -> Outputs:
        gradients = Role.CONSERVATIVE in roles
        names = self._asked(roles)
        with torch.set_grad_enabled(gradients):
            prepared = [self._prepare(structure, gradients) for structure in structures]
            # TorchScript's optimiser takes seconds in the first passes and gains nothing on a CPU.
            with torch.jit.optimized_execution(self.device.type != "cpu"):
                outputs = self._model(
                    [system for system, _ in prepared], options(names), check_consistency=False
                )
        values = {kind: outputs[name].block().values for kind, name in names.items()}
        return Outputs(values, structures, [leaves for _, leaves in prepared])

    def _prepare(self, structure: Structure, gradients: bool) -> tuple[mta.System, Leaves]:
        """Return the system with its neighbour lists, and what to differentiate by."""
        to = {"dtype": self.dtype, "device": self.device}
        positions = torch.tensor(structure.positions, requires_grad=gradients, **to)
        strain = torch.eye(3, requires_grad=True, **to) if gradients and self.needs_virial else None
        system = self.system(structure, positions, strain)
        self.neighbors.add(system, structure.slot)
        return system, (positions,) if strain is None else (positions, strain)

    def _asked(self, roles: frozenset[Role]) -> dict[str, str]:
        """The outputs to ask the model for: kind and name."""
        kinds = {"energy"} if Role.CONSERVATIVE in roles else set()
        if Role.DIRECT in roles:
            kinds |= {"force", "stress"} if self.needs_virial else {"force"}
        return {kind: name for kind, name in self._names.items() if kind in kinds}


def options(names: Mapping[str, str]) -> mta.ModelEvaluationOptions:
    """Say to metatomic what is to be computed, in our units."""
    outputs = {
        name: mta.ModelOutput(unit=UNITS[kind], sample_kind="atom" if kind == "force" else "system")
        for kind, name in names.items()
    }
    return mta.ModelEvaluationOptions(length_unit="Angstrom", outputs=outputs)


def is_out_of_memory(error: Exception) -> bool:
    """Whether it was for want of memory: TorchScript leaves only the words."""
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text


def last_line(error: Exception) -> str:
    """Return what an error says in the end: TorchScript puts its own traceback before."""
    return next((line for line in reversed(str(error).splitlines()) if line.strip()), "nothing")
