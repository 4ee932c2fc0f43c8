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
from ..errors import ModelError
from .batch_size import ChunkSize, is_out_of_memory
from .engine import Engine, Outputs
from .exported import capabilities, check_runs_as_asked, load_exported, output_names
from .parallel import Beside
from .pet.engine import PetEngine
from .slots import SKIN
from .torchscript import Script

__all__ = ["MetatomicModel"]

logger = logging.getLogger(__name__)

ENGINES = ("edges", "torchscript")
SAME = {torch.float32: 1e-3, torch.float64: 1e-8}
"""Up to how many eV/Å (and eV per atom) two engines may differ, and so many times the force."""


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
        self._script = Script(model, self.dtype, self.device, skin)
        self._use(self._script)
        if engine == "edges":
            try:
                self._use(PetEngine(model, self._names, self.dtype, self.device, skin))
            except (NotImplementedError, AttributeError, KeyError) as why:
                logger.info("%s runs as TorchScript, not edge by edge: %s", path, why)
        self._compared: set[frozenset[Role]] = set()
        self._chunks: defaultdict[Hashable, ChunkSize] = defaultdict(partial(ChunkSize, chunk))

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
                self._learn(chunks, len(chunk), time.perf_counter() - start, roles)
        yield results

    def find_neighbors(self, structures: Sequence[Structure]) -> None:
        """Make the neighbour lists and nothing else: for measuring it."""
        self._engine.find_neighbors(structures)

    def _learn(self, chunks: ChunkSize, count: int, seconds: float, roles: frozenset[Role]) -> None:
        """Tell how long a pass took, and say so when it is known what is quickest."""
        before = chunks.settled
        chunks.note(count, seconds)
        if chunks.settled and not before:
            what = " and ".join(sorted(roles))
            logger.info("%s: %s forces %d at a time are quickest", self.name, what, chunks.size)

    def _use(self, engine: Engine) -> None:
        """Run the model by ``engine``; TorchScript is not safe among threads."""
        threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        beside = threads > 1 and engine is not self._script
        self._engine, self._passes = engine, Beside(engine, threads) if beside else engine

    def _forward(self, structures: Sequence[Structure], roles: frozenset[Role]) -> Outputs:
        """Pass once through the model; the first time, compare the engines."""
        if self._engine is not self._script and roles not in self._compared:
            self._compare(structures[:1], roles)
        return self._run(self._passes, structures, roles)

    def _run(
        self, engine: Engine, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> Outputs:
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
            for engine in (self._engine, self._script)
        )
        apart = max(difference(one[role], other[role]) for role in roles)
        if apart < SAME[self.dtype]:
            self._compared.add(roles)
            logger.info("%s: edge by edge as TorchScript to %.0e eV/Å", self.name, apart)
        else:
            self._use(self._script)
            logger.warning(
                "expected model '%s' edge by edge to equal its TorchScript, got a difference of "
                "%.1e eV/Å; it runs as TorchScript", self.name, apart
            )  # fmt: skip


def difference(one: ForceResult, other: ForceResult) -> float:
    """How far two results are apart: eV/Å, or relative to larger forces, or eV per atom."""
    scale = max(1.0, float(np.abs(other.forces).max(initial=0.0)))
    forces = float(np.abs(one.forces - other.forces).max(initial=0.0)) / scale
    energies = abs(one.energy - other.energy) / max(1, len(other.forces))
    found = max(forces, energies)
    return found if np.isfinite(found) else np.inf


def last_line(error: Exception) -> str:
    """Return what an error says in the end: TorchScript puts its own traceback before."""
    return next((line for line in reversed(str(error).splitlines()) if line.strip()), "nothing")
