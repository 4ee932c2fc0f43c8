"""Multiple time stepping by impulses: the fast force inside, the slow one as a correction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..base import ForceResult
from ..distill.store import rounded
from .ring_polymer import RingPolymer

__all__ = ["Dynamics", "Evaluate", "forces_of"]

Evaluate = Callable[[NDArray[np.float64]], Sequence[ForceResult]]
"""From positions (P, N, 3) to one result for each bead."""


class Dynamics:
    """Outer steps of ``stride`` inner steps under the fast force.

    Args:
        ring: where it begins; moved in place.
        fast: the force of every inner step.
        slow: the force that corrects it at every outer step; ``None`` for no correction.
        timestep_fs: the inner step.
        stride: inner steps in an outer one.
        relaxation_fs: of the Langevin thermostat; ``None`` for constant energy.
        known: slow forces (P, N, 3) at the beginning, if they are known.

    Attributes:
        results: of the slow force where it is now, or of the fast one if that is alone.
        gap: slow minus fast force, shape (P, N, 3), eV/Å; zero without a slow force.
        force: fast force, shape (P, N, 3), eV/Å.
    """

    def __init__(
        self,
        ring: RingPolymer,
        fast: Evaluate,
        slow: Evaluate | None,
        *,
        timestep_fs: float,
        stride: int,
        relaxation_fs: float | None = None,
        known: NDArray[np.float64] | None = None,
    ) -> None:
        self.ring = ring
        self._fast, self._slow = fast, slow
        self._timestep_fs, self._stride = timestep_fs, stride
        self._relaxation_fs = relaxation_fs
        self.results = fast(ring.positions)
        self.force = forces_of(self.results)
        self.gap = np.zeros_like(self.force)
        if slow is not None and known is None:
            self._correct()
        elif slow is not None:
            self.gap = known - self.force

    def step(self, rng: np.random.Generator, *, stored: bool = False) -> None:
        """Do one outer step; ``stored`` ends it at positions that a file holds exactly."""
        outer = self._timestep_fs * self._stride
        self._thermalize(0.5 * outer, rng)
        self.ring.kick(self.gap, 0.5 * outer)
        for inner in range(self._stride):
            self.ring.kick(self.force, 0.5 * self._timestep_fs)
            self.ring.drift(self._timestep_fs)
            if stored and inner == self._stride - 1:
                self.ring.positions = rounded(self.ring.positions)
            self.results = self._fast(self.ring.positions)
            self.force = forces_of(self.results)
            self.ring.kick(self.force, 0.5 * self._timestep_fs)
        self._correct()
        self.ring.kick(self.gap, 0.5 * outer)
        self._thermalize(0.5 * outer, rng)

    def _correct(self) -> None:
        if self._slow is not None:
            self.results = self._slow(self.ring.positions)
            self.gap = forces_of(self.results) - self.force

    def _thermalize(self, time_fs: float, rng: np.random.Generator) -> None:
        if self._relaxation_fs is not None:
            self.ring.thermalize(time_fs, self._relaxation_fs, rng)


def forces_of(results: Sequence[ForceResult]) -> NDArray[np.float64]:
    """Forces of all beads, shape (P, N, 3)."""
    return np.array([result.forces for result in results])
