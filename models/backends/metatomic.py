"""Exported metatomic models: any model that is saved as an ``AtomisticModel``."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..base import ForceModel, ForceResult, Role, Structure
from ..card import read_charges, read_expected_gap
from ..errors import ModelError, Unsupported
from ..spec import ModelSpec
from .batch_size import BatchSize, is_out_of_memory
from .engine import Engine, EngineOutputs
from .exported import capabilities, check_runs_as_asked, load_exported, output_names
from .parallel import ParallelEngine
from .pet.engine import PetEngine
from .slots import SKIN
from .torchscript import TorchScriptEngine

__all__ = ["MetatomicModel", "load"]

logger = logging.getLogger(__name__)

ENGINES = ("edges", "torchscript")
ENGINE_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-8}
"""Up to how many eV/Å (and eV per atom) two engines may differ, and so many times the force."""


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


class MetatomicModel(ForceModel):
    """An exported model, evaluated for either role or for both in one pass.

    A PET is evaluated edge by edge by its weights, which is quicker than its TorchScript does it,
    unless the two differ on the first structure.

    Args:
        path: the ``.pt`` file.
        device: where it runs.
        dtype: ``None`` for the one the model was exported with. Another one converts its weights;
            a model that has its own written into its code then fails to evaluate.
        variant: which variant of the outputs: ``energy/NAME`` and so on.
        extensions: folder of the TorchScript extensions that the model needs.
        chunk: structures in a pass; ``None`` for as many as turn out to be quickest.
        skin: of the neighbour lists, Å.
        engine: ``torchscript`` to run what the file holds in any case.

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
        engine: str = "edges",
    ) -> None:
        self.name = Path(path).stem
        if engine not in ENGINES:
            raise ModelError(
                f"expected engine {' or '.join(ENGINES)} for a metatomic model, got '{engine}'; "
                f"check <parameters> model"
            )
        model = load_exported(path, extensions)
        declared = model.capabilities()
        check_runs_as_asked(self.name, model, device)
        self.dtype = getattr(torch, dtype or declared.dtype)
        self.device = torch.device(device)
        self._names = output_names(self.name, declared.outputs.keys(), variant)
        self.capabilities = capabilities(declared, self._names)
        model = model.to(device=self.device, dtype=self.dtype)
        self._torchscript = TorchScriptEngine(model, self.dtype, self.device, skin)
        self._use(self._torchscript)
        if engine == "edges":
            try:
                self._use(PetEngine(model, self._names, self.dtype, self.device, skin))
            except Unsupported as why:
                logger.info("%s runs as TorchScript, not edge by edge: %s", path, why)
        self._compared: set[frozenset[Role]] = set()
        self._batch_sizes: defaultdict[Hashable, BatchSize] = defaultdict(partial(BatchSize, chunk))

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
            batch_size = self._batch_sizes[roles, len(rest[0].numbers)]
            batch = rest[: batch_size.next_size(len(rest))]
            start = time.perf_counter()
            try:
                outputs = self._forward(batch, roles)
                if len(roles) > 1 and len(batch) == len(rest):
                    yield [*results, *outputs.direct]
                results += outputs.complete()
            except (RuntimeError, ValueError, torch.jit.Error) as error:
                if not is_out_of_memory(error) or len(batch) == 1:
                    raise ModelError(
                        f"expected model '{self.name}' to evaluate {len(batch)} structures in "
                        f"{self.dtype} on {self.device}, got: {last_line(error)}; "
                        f"check the structure, or try the model's own dtype"
                    ) from error
                batch_size.halve(len(batch))
            else:
                self._record(batch_size, len(batch), time.perf_counter() - start, roles)
        yield results

    def find_neighbors(self, structures: Sequence[Structure]) -> None:
        """Make the neighbour lists and nothing else: for measuring it."""
        self._engine.find_neighbors(structures)

    def _record(
        self, batch_size: BatchSize, count: int, seconds: float, roles: frozenset[Role]
    ) -> None:
        """Note how long a pass took, and log it when it is clear which size is quickest."""
        before = batch_size.settled
        batch_size.record(count, seconds)
        if batch_size.settled and not before:
            names, size = " and ".join(sorted(roles)), batch_size.size
            logger.info("%s: %s forces %d at a time are quickest", self.name, names, size)

    def _use(self, engine: Engine) -> None:
        """Run the model by ``engine``; TorchScript is not safe among threads."""
        threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        parallel = threads > 1 and engine is not self._torchscript
        self._engine = engine
        self._batch_engine = ParallelEngine(engine, threads) if parallel else engine

    def _forward(self, structures: Sequence[Structure], roles: frozenset[Role]) -> EngineOutputs:
        """Pass once through the model; the first time, compare the engines."""
        if self._engine is not self._torchscript and roles not in self._compared:
            self._compare(structures[:1], roles)
        return self._run(self._batch_engine, structures, roles)

    def _run(
        self, engine: Engine, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> EngineOutputs:
        kinds = {"energy"} if Role.CONSERVATIVE in roles else set()
        if Role.DIRECT in roles:
            kinds |= {"force", "stress"} if self.needs_virial else {"force"}
        asked = {kind: name for kind, name in self._names.items() if kind in kinds}
        return engine.run(structures, asked, self.needs_virial)

    def _compare(self, structures: Sequence[Structure], roles: frozenset[Role]) -> None:
        """Go back to TorchScript if the other engine says something else."""
        structures = [replace(s, slot=None) for s in structures]
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


def difference(one: ForceResult, other: ForceResult) -> float:
    """How far two results are apart: eV/Å, or relative to larger forces, or eV per atom."""
    scale = max(1.0, float(np.abs(other.forces).max(initial=0.0)))
    forces = float(np.abs(one.forces - other.forces).max(initial=0.0)) / scale
    energies = abs(one.energy - other.energy) / max(1, len(other.forces))
    largest = max(forces, energies)
    return largest if np.isfinite(largest) else np.inf


def last_line(error: Exception) -> str:
    """Return what an error says in the end: TorchScript puts its own traceback before."""
    return next((line for line in reversed(str(error).splitlines()) if line.strip()), "nothing")
