"""Structures in parallel on the cores of a CPU, instead of all cores on one after the other."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from typing import TypeVar

import torch

from ..base import ForceResult, Structure
from .batch_size import split_evenly
from .engine import Engine, EngineOutputs

__all__ = ["ParallelEngine"]

S = TypeVar("S")
T = TypeVar("T")


class ParallelEngine:
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
        self,
        structures: Sequence[Structure],
        kinds: Mapping[str, str],
        virial: bool,
        gradients: bool = True,
    ) -> EngineOutputs:
        """Pass once through the model."""
        parts = split_evenly(with_slots_of_their_own(structures), self._threads)
        if len(parts) == 1:
            return self._engine.run(structures, kinds, virial, gradients)
        outputs = self._map(lambda part: self._engine.run(part, kinds, virial, gradients), parts)

        def differentiate() -> Iterable[ForceResult]:
            return chain(*self._map(lambda output: list(output.conservative()), outputs))

        joined = EngineOutputs(structures, None, differentiate if "energy" in kinds else None)
        joined.direct = [result for output in outputs for result in output.direct]
        return joined

    def find_neighbors(self, structures: Sequence[Structure]) -> None:
        """Do only what comes before the model."""
        self._engine.find_neighbors(structures)

    def _map(self, work: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        def on_a_share_of_the_cores(part: S) -> T:
            torch.set_num_threads(max(1, self._threads // len(parts)))  # of this thread only
            return work(part)

        return list(self._pool.map(on_a_share_of_the_cores, parts))


def with_slots_of_their_own(structures: Sequence[Structure]) -> list[Structure]:
    """The same structures; where several are of one slot, only the first keeps it.

    A neighbour list serves one thread at a time.
    """
    seen: set[Hashable] = set()
    own = []
    for structure in structures:
        own.append(replace(structure, slot=None) if structure.slot in seen else structure)
        seen.add(structure.slot)
    return own
