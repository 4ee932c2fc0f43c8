"""Structures side by side on the cores of a CPU, instead of all cores on one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

import torch

from ..base import ForceResult, Structure
from .batch_size import divide
from .engine import Engine, Outputs

__all__ = ["Beside"]

S, T = TypeVar("S"), TypeVar("T")


class Beside:
    """Runs parts of a pass at the same time, with an even part of the threads each.

    The many small operations of a model keep one core busy, but not several: two structures on one
    core each take less time than two after each other on two.

    Args:
        engine: what runs each part.
        threads: of all of them together.
    """

    def __init__(self, engine: Engine, threads: int) -> None:
        self._engine, self._threads = engine, threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="halfkick-core")

    def run(
        self, structures: Sequence[Structure], kinds: Mapping[str, str], virial: bool
    ) -> Outputs:
        """Pass once through the model."""
        parts = divide(structures, self._threads)
        if len(parts) == 1:
            return self._engine.run(structures, kinds, virial)
        outputs = self._each(lambda part: self._engine.run(part, kinds, virial), parts)

        def differentiate() -> chain[ForceResult]:
            return chain(*self._each(lambda one: list(one.conservative()), outputs))

        together = Outputs(structures, None, differentiate if "energy" in kinds else None)
        together.direct = [found for one in outputs for found in one.direct]
        return together

    def find_neighbors(self, structures: Sequence[Structure]) -> None:
        """Do only what comes before the model."""
        self._engine.find_neighbors(structures)

    def _each(self, work: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        def on_its_cores(part: S) -> T:
            torch.set_num_threads(max(1, self._threads // len(parts)))  # of this thread only
            return work(part)

        return list(self._pool.map(on_its_cores, parts))
