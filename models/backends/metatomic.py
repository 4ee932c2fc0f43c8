"""Exported metatomic models: any model that is saved as an ``AtomisticModel``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..base import ForceResult, Role, Structure
from ..card import read_charges, read_expected_gap
from ..errors import ModelError, Unsupported
from ..spec import ModelSpec
from .batched import BatchedModel
from .engine import Engine, EngineOutputs
from .exported import capabilities, check_runs_as_asked, load_exported, output_names
from .further import FurtherOutputs
from .parallel import ParallelEngine
from .pet.engine import PetEngine
from .slots import SKIN
from .torchscript import TorchScriptEngine

__all__ = ["MetatomicModel", "load"]

logger = logging.getLogger(__name__)

ENGINES = ("edges", "torchscript")
ENGINE_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-8}
"""Up to how many eV/Å (and eV per atom) two engines may differ, and so many times the force."""
COMPARED_ATOMS = 1000
"""On which engines are compared: TorchScript needs twice the memory."""


def load(spec: ModelSpec, device: str, dtype: str | None) -> MetatomicModel:
    """Load an exported model, and its card if it has one.

    Raises:
        ModelError: if the file is no such model or the model cannot run as asked.
    """
    path = Path(spec.target)
    model = MetatomicModel(path, device=device, dtype=dtype, **spec.options)
    model.expected_gap = read_expected_gap(path)
    charges, spins = read_charges(path)
    model.capabilities = replace(model.capabilities, charges=charges, spins=spins)
    return model


class MetatomicModel(BatchedModel):
    """An exported model, evaluated for either role or for both in one pass.

    Direct forces alone need no gradient, and none is made. Virials are zero where they are not
    needed; the direct one also for a structure that is not periodic in all directions.

    A PET is evaluated edge by edge by its weights, which is quicker than its TorchScript does it,
    unless the two differ on the first structure. Outputs besides energy, forces and stress are
    made by TorchScript in passes of their own: forces are the same to the last bit with and
    without them.

    Args:
        path: the ``.pt`` file.
        device: where it runs.
        dtype: ``None`` for the one the model was exported with. Another one converts its weights;
            a model that has its own written into its code then fails to evaluate.
        variant: which variant of the outputs: ``energy/NAME`` and so on.
        non_conservative_variant: which one of direct forces and their stress, if another.
        uncertainty_variant: which one of uncertainty and ensemble, if another.
        extensions: folder of the TorchScript extensions that the model needs.
        chunk: structures in a pass; ``None`` for as many as turn out to be quickest.
        skin: of the neighbour lists, Å.
        engine: ``torchscript`` to run what the file holds in any case.

    Raises:
        ModelError: if the file is no such model or the model cannot run as asked.
    """

    failures = (RuntimeError, ValueError, torch.jit.Error)

    def __init__(
        self,
        path: Path | str,
        *,
        device: str = "cpu",
        dtype: str | None = None,
        variant: str | None = None,
        non_conservative_variant: str | None = None,
        uncertainty_variant: str | None = None,
        extensions: str | None = None,
        chunk: int | None = None,
        skin: float = SKIN,
        engine: str = "edges",
    ) -> None:
        name = Path(path).stem
        if engine not in ENGINES:
            raise ModelError(
                f"expected engine {' or '.join(ENGINES)} for a metatomic model, got '{engine}'; "
                f"check <parameters> model"
            )
        model = load_exported(path, extensions)
        declared = model.capabilities()
        check_runs_as_asked(name, model, device)
        self.dtype = getattr(torch, dtype or declared.dtype)
        self.device = torch.device(device)
        offered = declared.outputs
        self._names = output_names(name, offered.keys(), variant, non_conservative_variant)
        model = model.to(device=self.device, dtype=self.dtype)
        self._torchscript = TorchScriptEngine(model, self.dtype, self.device, skin)
        self._further = FurtherOutputs(
            self._torchscript, offered, self._names, variant, uncertainty_variant
        )
        can = replace(capabilities(declared, self._names), outputs=self._further.units)
        super().__init__(name, can, f"{self.dtype} on {device}", chunk)
        self._use(self._torchscript)
        if engine == "edges":
            try:
                self._use(PetEngine(model, self._names, self.dtype, self.device, skin))
            except Unsupported as why:
                logger.info("%s runs as TorchScript, not edge by edge: %s", path, why)
        self._compared: set[frozenset[Role]] = set()

    def energies(self, structures: Sequence[Structure]) -> list[float]:
        """The energies of structures, eV, without a gradient, in one pass."""
        role = frozenset({Role.CONSERVATIVE})
        for structure in structures:
            self.check(structure.numbers, *role)
        try:
            self._check_engine(structures, role)
            kinds = {"energy": self._names["energy"]}
            outputs = self._batch_engine.run(structures, kinds, virial=False, gradients=False)
            return [result.energy for result in outputs.conservative()]
        except self.failures as error:
            raise self._failure(len(structures), error) from error

    def find_neighbors(self, structures: Sequence[Structure]) -> None:
        """Make the neighbour lists and nothing else: for measuring it."""
        self._engine.find_neighbors(structures)

    def _use(self, engine: Engine) -> None:
        """Run the model by ``engine``; TorchScript is not safe among threads."""
        threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        parallel = threads > 1 and engine is not self._torchscript
        self._engine = engine
        self._batch_engine = ParallelEngine(engine, threads) if parallel else engine

    def _forward(self, structures: Sequence[Structure], roles: frozenset[Role]) -> EngineOutputs:
        """Pass once through the model; the first time, compare the engines."""
        self._check_engine(structures, roles)
        outputs = self._run(self._batch_engine, structures, roles)
        if self.wanted_outputs and Role.CONSERVATIVE in roles:
            outputs.more = partial(self._further.evaluate, structures, self.wanted_outputs)
        return outputs

    def _run(
        self, engine: Engine, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> EngineOutputs:
        kinds = {"energy"} if Role.CONSERVATIVE in roles else set()
        if Role.DIRECT in roles:
            kinds |= {"force", "stress"} if self.needs_virial else {"force"}
        asked = {kind: name for kind, name in self._names.items() if kind in kinds}
        return engine.run(structures, asked, self.needs_virial)

    def _check_engine(self, structures: Sequence[Structure], roles: frozenset[Role]) -> None:
        if self._engine is not self._torchscript and roles not in self._compared:
            self._compare(structures[:1], roles)

    def _compare(self, structures: Sequence[Structure], roles: frozenset[Role]) -> None:
        """Go back to TorchScript if the other engine says something else."""
        structures = [part_of(s, COMPARED_ATOMS) for s in structures]
        (one,), (other,) = (
            self._run(engine, structures, roles).complete()
            for engine in (self._engine, self._torchscript)
        )
        distance = max(difference(one[role], other[role]) for role in roles)
        if distance < ENGINE_TOLERANCE[self.dtype]:
            self._compared.add(roles)
            logger.info("%s: edge by edge as TorchScript to %.0e eV/Å", self.name, distance)
        else:
            self._use(self._torchscript)
            logger.warning(
                "expected model '%s' edge by edge to equal its TorchScript, got a difference of "
                "%.1e eV/Å; it runs as TorchScript", self.name, distance
            )  # fmt: skip


def part_of(structure: Structure, n_atoms: int) -> Structure:
    """So many atoms at most, those around the first one, and one of each species."""
    numbers, positions = structure.numbers, structure.positions
    if len(numbers) > n_atoms:
        near = np.square(positions - positions[0]).sum(1).argsort()[:n_atoms]
        kept = np.union1d(near, np.unique(numbers, return_index=True)[1])
        numbers, positions = numbers[kept], positions[kept]
    return replace(structure, numbers=numbers, positions=positions, slot=None)


def difference(one: ForceResult, other: ForceResult) -> float:
    """How far two results are apart: eV/Å, or relative to larger forces, or eV per atom."""
    scale = max(1.0, float(np.abs(other.forces).max(initial=0.0)))
    forces = float(np.abs(one.forces - other.forces).max(initial=0.0)) / scale
    energies = abs(one.energy - other.energy) / max(1, len(other.forces))
    largest = max(forces, energies)
    return largest if np.isfinite(largest) else np.inf
