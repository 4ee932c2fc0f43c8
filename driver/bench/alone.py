"""The model and its neighbour lists alone, without driver and i-PI."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from halfkick.models.base import ForceModel, Role, Structure

if TYPE_CHECKING:
    from ase import Atoms

    from halfkick.models.metatomic import MetatomicModel

__all__ = ["ModelAlone", "Neighbors"]

AMPLITUDE = 0.1  # Å; with the period below, atoms move as in water at 300 K and steps of 0.5 fs
PERIOD = 40  # steps


class Motion:
    """Beads whose atoms swing about where they are."""

    def __init__(self, atoms: Atoms, beads: int) -> None:
        shape = (beads, *atoms.positions.shape)
        self._atoms = atoms
        self._phases = np.random.default_rng(0).uniform(0.0, 2.0 * np.pi, shape)
        self._step = 0

    def next(self, place: str) -> list[Structure]:
        """The structures of the next step, each in a slot of its own."""
        self._step += 1
        swing = AMPLITUDE * np.sin(2.0 * np.pi * self._step / PERIOD + self._phases)
        atoms = self._atoms
        return [
            Structure(atoms.numbers, p, atoms.cell.array, atoms.pbc, (place, bead))
            for bead, p in enumerate(atoms.positions + swing)
        ]


class ModelAlone:
    """Evaluates one chunk of structures for some roles.

    Args:
        model: with a chunk size of at least ``beads``.
        atoms: the structure.
        beads: structures in the chunk.
        roles: of the evaluation.
        repeats: evaluations in one measurement.
    """

    def __init__(
        self, model: ForceModel, atoms: Atoms, beads: int, roles: frozenset[Role], repeats: int
    ) -> None:
        self.name = alone_name(roles, beads, len(atoms))
        self._model = model
        self._motion = Motion(atoms, beads)
        self._roles = roles
        self._repeats = repeats

    def measure(self) -> list[float]:
        """Evaluate; ms for each structure."""
        times = []
        for _ in range(self._repeats):
            structures = self._motion.next(self.name)
            start = time.perf_counter()
            self._model.evaluate(structures, self._roles)
            times.append(1e3 * (time.perf_counter() - start) / len(structures))
        return times


class Neighbors:
    """Makes the neighbour lists of one structure; only for metatomic models."""

    def __init__(self, model: MetatomicModel, atoms: Atoms, repeats: int) -> None:
        self.name = f"neighbour lists, {len(atoms)} atoms"
        self._model = model
        self._motion = Motion(atoms, 1)
        self._repeats = repeats

    def measure(self) -> list[float]:
        """Make the lists; ms."""
        times = []
        for _ in range(self._repeats):
            structures = self._motion.next(self.name)
            start = time.perf_counter()
            self._model.find_neighbors(structures)
            times.append(1e3 * (time.perf_counter() - start))
        return times


def alone_name(roles: frozenset[Role], beads: int, n_atoms: int) -> str:
    """What a measurement of the model alone is called."""
    what = "both in one pass" if len(roles) > 1 else str(*roles)
    return f"model alone, {what}, {n_atoms} atoms x {beads}"
