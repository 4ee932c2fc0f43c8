"""Velocity Verlet, and multiple time stepping by impulses of the gap around it.

One outer step of impulse multiple time stepping (Tuckerman, Berne, Martyna, J. Chem. Phys. 97, 1990
(1992)), M inner steps of velocity Verlet under the fast force between two kicks of the gap::

    ½ M Δt: gap   [ ½ Δt: fast   Δt: drift   ½ Δt: fast ] × M   ½ M Δt: gap

======  =============  ============================================
symbol  variable
======  =============  ============================================
Δt      timestep_fs    inner step, fs
M       stride         inner steps in an outer one
F_fast  force          fast force, shape (…, N, 3), eV/Å
F_gap   gap            slow minus fast force, shape (…, N, 3), eV/Å
======  =============  ============================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..base import ForceResult
from .particles import Particles
from .ring_polymer import RingPolymer

__all__ = ["Evaluate", "MTSDynamics", "mts_step", "velocity_verlet"]

Array = NDArray[np.float64]

Evaluate = Callable[[Array], Sequence[ForceResult]]
"""From positions (P, N, 3), Å, to one result for each bead, as it is served."""

Snap = Callable[[Array], Array]
"""From the positions that a drift comes to, to those where the step ends; same shape, Å."""


def velocity_verlet(
    particles: Particles,
    force: Array,
    evaluate: Callable[[], Array],
    timestep_fs: float,
    snap: Snap | None = None,
) -> Array:
    """Do one step.

    Args:
        particles: moved in place.
        force: where they are, shape (…, N, 3), eV/Å.
        evaluate: gives the force where they are, same shape.
        timestep_fs: of the step.
        snap: changes the positions slightly before the force there is evaluated.

    Returns:
        The force where they are now, same shape.
    """
    particles.kick(force, 0.5 * timestep_fs)
    particles.drift(timestep_fs)
    if snap is not None:
        particles.positions = snap(particles.positions)
    force = evaluate()
    particles.kick(force, 0.5 * timestep_fs)
    return force


def mts_step(
    particles: Particles,
    force: Array,
    gap: Array,
    evaluate: Callable[[], Array],
    correct: Callable[[Array], tuple[Array, Array]],
    *,
    timestep_fs: float,
    stride: int,
    snap: Snap | None = None,
) -> tuple[Array, Array]:
    """Do one outer step.

    Args:
        particles: moved in place.
        force: fast force where they are, shape (…, N, 3), eV/Å.
        gap: slow minus fast force where they are, same shape.
        evaluate: gives the fast force where they are.
        correct: from the fast force of the last inner step to the fast force and the gap there.
        timestep_fs: the inner step.
        stride: inner steps.
        snap: as in :func:`velocity_verlet`, in the last inner step.

    Returns:
        Fast force and gap where they are now.
    """
    outer_fs = timestep_fs * stride
    particles.kick(gap, 0.5 * outer_fs)
    for inner in range(1, stride + 1):
        last = snap if inner == stride else None
        force = velocity_verlet(particles, force, evaluate, timestep_fs, last)
    force, gap = correct(force)
    particles.kick(gap, 0.5 * outer_fs)
    return force, gap


class MTSDynamics:
    """Outer steps of a ring polymer, between two halves of a thermostat's.

    Args:
        ring: where it begins; moved in place.
        fast: the force of every inner step.
        slow: the force that corrects it at every outer step; ``None`` for no correction.
        timestep_fs: the inner step.
        stride: inner steps in an outer one.
        relaxation_fs: of the Langevin thermostat; ``None`` for constant energy.
        slow_forces: at the beginning, shape (P, N, 3), eV/Å, if they are known.

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
        slow_forces: Array | None = None,
    ) -> None:
        self.ring = ring
        self._fast, self._slow = fast, slow
        self._timestep_fs, self._stride = timestep_fs, stride
        self._relaxation_fs = relaxation_fs
        self.force = self._evaluate()
        if slow is None or slow_forces is None:
            _, self.gap = self._correct(self.force)
        else:
            self.gap = slow_forces - self.force

    def step(self, rng: np.random.Generator, snap: Snap | None = None) -> None:
        """Do one outer step; ``snap`` changes the positions (P, N, 3) at which it ends."""
        outer_fs = self._timestep_fs * self._stride
        self._thermalize(0.5 * outer_fs, rng)
        self.force, self.gap = mts_step(
            self.ring, self.force, self.gap, self._evaluate, self._correct,
            timestep_fs=self._timestep_fs, stride=self._stride, snap=snap,
        )  # fmt: skip
        self._thermalize(0.5 * outer_fs, rng)

    def _evaluate(self) -> Array:
        self.results = self._fast(self.ring.positions)
        return forces_of(self.results)

    def _correct(self, force: Array) -> tuple[Array, Array]:
        if self._slow is None:
            return force, np.zeros_like(force)
        self.results = self._slow(self.ring.positions)
        return force, forces_of(self.results) - force

    def _thermalize(self, time_fs: float, rng: np.random.Generator) -> None:
        if self._relaxation_fs is not None:
            self.ring.thermalize(time_fs, self._relaxation_fs, rng)


def forces_of(results: Sequence[ForceResult]) -> Array:
    """Forces of all beads, shape (P, N, 3), eV/Å."""
    return np.array([result.forces for result in results])
