"""The memory that i-PI shares with its driver under ``mode='shm'``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from multiprocessing import resource_tracker, shared_memory

import numpy as np
from numpy.typing import NDArray

from .answer import Answer
from .messages import Request

__all__ = ["SharedBatch"]


class SharedBatch:
    """i-PI's segments: positions and cells in, energies, forces and virials out.

    Args:
        names: of the segments, by kind.
        batch_size: B, structures in each of them.
    """

    def __init__(self, names: Mapping[str, str], batch_size: int) -> None:
        self._segments = {kind: _attach(name) for kind, name in names.items()}
        self._batch_size = batch_size

    def read(self, n_atoms: int) -> Request:
        """The request that lies there, copied."""
        batch = self._batch_size
        cells = self._view("h", (batch, 3, 3)).copy()
        return Request(n_atoms, cells, self._view("pos", (batch, n_atoms, 3)).copy())

    def write(self, answer: Answer) -> None:
        """Put an answer for all B structures where i-PI reads it."""
        self._view("pot", answer.energies.shape)[...] = answer.energies
        self._view("force", answer.forces.shape)[...] = answer.forces
        self._view("vir", answer.virials.shape)[...] = answer.virials

    def close(self) -> None:
        """Detach; the segments belong to i-PI."""
        for segment in self._segments.values():
            segment.close()

    def _view(self, kind: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        return np.ndarray(shape, dtype=np.float64, buffer=self._segments[kind].buf)


def _attach(name: str) -> shared_memory.SharedMemory:
    if sys.version_info >= (3, 13):
        return shared_memory.SharedMemory(name=name, track=False)
    segment = shared_memory.SharedMemory(name=name)
    # i-PI owns the segment: without this the tracker would remove it when the driver ends
    resource_tracker.unregister(f"/{name.lstrip('/')}", "shared_memory")
    return segment
