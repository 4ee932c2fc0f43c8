"""Models that evaluate several structures in one pass."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial

from ..base import Capabilities, ForceModel, ForceResult, Role, Structure
from ..errors import ModelError
from .batch_size import BatchSize, is_out_of_memory
from .engine import EngineOutputs

__all__ = ["BatchedModel", "last_line"]

logger = logging.getLogger(__name__)


class BatchedModel(ForceModel):
    """Takes as many structures in a pass as turn out to be quickest.

    Args:
        name: for messages.
        capabilities: of the model.
        setting: its precision and device, for messages.
        chunk: structures in a pass; ``None`` to find out.
    """

    failures: tuple[type[Exception], ...] = (Exception,)
    """What a pass may raise because of the structures; anything else is a mistake in the code."""

    def __init__(
        self, name: str, capabilities: Capabilities, setting: str, chunk: int | None = None
    ) -> None:
        self.name, self.capabilities, self._setting = name, capabilities, setting
        self._batch_sizes: defaultdict[Hashable, BatchSize] = defaultdict(partial(BatchSize, chunk))

    @abstractmethod
    def _forward(self, structures: Sequence[Structure], roles: frozenset[Role]) -> EngineOutputs:
        """Pass once through the model."""

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        """Evaluate the structures, in as many passes as is quickest.

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
            except ModelError:
                raise
            except self.failures as error:
                if not is_out_of_memory(error) or len(batch) == 1:
                    raise self._failure(len(batch), error) from error
                batch_size.halve(len(batch))
            else:
                self._record(batch_size, len(batch), time.perf_counter() - start, roles)
        yield results

    def _failure(self, count: int, error: Exception) -> ModelError:
        return ModelError(
            f"expected model '{self.name}' to evaluate {count} structures in {self._setting}, got: "
            f"{last_line(error)}; check the structure and the model's options, or try the model's "
            f"own dtype"
        )

    def _record(
        self, batch_size: BatchSize, count: int, seconds: float, roles: frozenset[Role]
    ) -> None:
        """Note how long a pass took, and log it when it is clear which size is quickest."""
        before = batch_size.settled
        batch_size.record(count, seconds)
        if batch_size.settled and not before:
            names, size = " and ".join(sorted(roles)), batch_size.size
            logger.info("%s: %s forces %d at a time are quickest", self.name, names, size)


def last_line(error: Exception) -> str:
    """Return what an error says in the end: TorchScript puts its own traceback before."""
    return next((line for line in reversed(str(error).splitlines()) if line.strip()), "nothing")
