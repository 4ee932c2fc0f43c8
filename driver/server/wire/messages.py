"""The protocol's messages: events for the driver, headers and integers for the wire."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEADER_SIZE = 12
SEGMENT_KINDS = ("pos", "h", "ih", "pot", "force", "vir")
"""The shared-memory segments, in the order in which i-PI names them."""


@dataclass(frozen=True)
class Init:
    """i-PI's INIT: the bead it is about to send, ``<parameters>`` as text, structures a batch."""

    bead: int
    parameters: str
    batch_size: int


@dataclass(frozen=True)
class Segments:
    """Names of the shared memory that carries the numbers, by kind; see SEGMENT_KINDS."""

    names: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Request:
    """Structures to evaluate.

    Attributes:
        n_atoms: N, atoms in each structure.
        cells: cell vectors as columns, shape (B, 3, 3), bohr, read-only.
        positions: shape (B, N, 3), bohr, read-only.
    """

    n_atoms: int
    cells: NDArray[np.float64]
    positions: NDArray[np.float64]

    def without_padding(self) -> Request:
        """The structures that need evaluation.

        i-PI fills a short batch by repeating its last structure, so exact repeats of the last one
        at the end share its result, whether they are filling or beads that happen to coincide.
        """
        cells, positions = self.cells, self.positions
        count = len(positions)
        if count == 1:
            return self
        cell, last = cells[-1].tobytes(), positions[-1].tobytes()
        while (
            count > 1
            and positions[count - 2].tobytes() == last
            and cells[count - 2].tobytes() == cell
        ):
            count -= 1
        return Request(self.n_atoms, cells[:count], positions[:count])


@dataclass(frozen=True)
class SharedRequest:
    """As many structures as a batch has, to evaluate; cells and positions lie in shared memory.

    Attributes:
        n_atoms: N, atoms in each structure.
    """

    n_atoms: int


@dataclass(frozen=True)
class Exit:
    """i-PI ends the conversation."""


Event = Init | Segments | Request | SharedRequest | Exit


def header(name: str) -> bytes:
    """Return the header of a message as it is on the wire."""
    return name.ljust(HEADER_SIZE).encode()


def int32(value: int) -> bytes:
    """Return an integer as it is on the wire."""
    return value.to_bytes(4, sys.byteorder, signed=True)
