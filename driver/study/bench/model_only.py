"""The model and its neighbour lists alone, without driver and i-PI."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ....models.base import ForceModel, Role, Structure

if TYPE_CHECKING:
    from ase import Atoms

    from ....models.backends.metatomic import MetatomicModel

__all__ = ["evaluation", "model_only_name", "neighbor_lists"]

AMPLITUDE = 0.1  # Å; with the period below, atoms move as in water at 300 K and steps of 0.5 fs
PERIOD_STEPS = 40


class SwingingBeads:
    """Beads whose atoms swing about where they are."""

    def __init__(self, atoms: Atoms, beads: int) -> None:
        shape = (beads, *atoms.positions.shape)
        self._atoms = atoms
        self._phases = np.random.default_rng(0).uniform(0.0, 2.0 * np.pi, shape)
        self._step = 0

    def next(self, slot: str) -> list[Structure]:
        """The structures of the next step, each in a slot of its own."""
        self._step += 1
        swing = AMPLITUDE * np.sin(2.0 * np.pi * self._step / PERIOD_STEPS + self._phases)
        atoms = self._atoms
        return [
            Structure(atoms.numbers, p, atoms.cell.array, atoms.pbc, (slot, bead))
            for bead, p in enumerate(atoms.positions + swing)
        ]


class ModelTiming:
    """Times what is done with the structures of a step, without driver and i-PI.

    Args:
        name: of the measurement.
        work: what is done with them.
        atoms: the structure.
        beads: structures in a step.
        repeats: steps in one measurement.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[Structure]], object],
        atoms: Atoms,
        beads: int,
        repeats: int,
    ) -> None:
        self.name, self._work = name, work
        self._beads = SwingingBeads(atoms, beads)
        self._repeats = repeats

    def measure(self) -> list[float]:
        """Do it; ms for each structure."""
        times = []
        for _ in range(self._repeats):
            structures = self._beads.next(self.name)
            start = time.perf_counter()
            self._work(structures)
            times.append(1e3 * (time.perf_counter() - start) / len(structures))
        return times


def evaluation(
    model: ForceModel, atoms: Atoms, beads: int, roles: frozenset[Role], repeats: int
) -> ModelTiming:
    """One chunk by a model whose chunk size is at least ``beads``."""
    name = model_only_name(roles, beads, len(atoms))
    return ModelTiming(name, partial(model.evaluate, roles=roles), atoms, beads, repeats)


def neighbor_lists(model: MetatomicModel, atoms: Atoms, repeats: int) -> ModelTiming:
    """Those of one structure."""
    return ModelTiming(
        f"neighbour lists, {len(atoms)} atoms", model.find_neighbors, atoms, 1, repeats
    )


def model_only_name(roles: frozenset[Role], beads: int, n_atoms: int) -> str:
    """What a measurement of the model alone is called."""
    what = "both in one pass" if len(roles) > 1 else str(*roles)
    return f"model alone, {what}, {n_atoms} atoms x {beads}"
