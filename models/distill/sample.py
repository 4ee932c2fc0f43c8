"""Trajectories through what a student must know: temperatures, volumes, ring polymers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ..base import ForceModel, ForceResult, Role
from ..dynamics.mts import MTSDynamics
from ..dynamics.particles import thermal_velocities
from ..dynamics.ring_polymer import RingPolymer
from ..frames import structure_of
from ..served import served_forces
from .options import DistillOptions
from .store import bare, labelled, rounded

__all__ = ["ServedForce", "Walker", "make_walkers", "run_segment"]

RELAXATION_FS = 100.0
TOO_HOT = 6.0
"""Times the temperature: dynamics that has blown up."""


@dataclass(frozen=True, eq=False)
class ServedForce:
    """One role of a model, its forces as they are served."""

    model: ForceModel
    role: Role

    @property
    def has_stress(self) -> bool:
        """Whether its virials mean something."""
        return self.role in self.model.capabilities.stress

    def __call__(self, atoms: Atoms, positions: NDArray[np.float64]) -> list[ForceResult]:
        """Evaluate beads at positions (P, N, 3), Å, of the system that ``atoms`` describes."""
        system = structure_of(atoms)
        structures = [
            replace(system, positions=x, slot=(atoms.info["walker"], bead))
            for bead, x in enumerate(positions)
        ]
        answers = self.model.evaluate(structures, frozenset({self.role}))
        results = [answer[self.role] for answer in answers]
        return [replace(r, forces=served_forces(r.forces, self.role)) for r in results]


@dataclass(frozen=True, eq=False)
class Walker:
    """One system under one condition; its trajectory goes on from round to round.

    Attributes:
        index: its place among all.
        start: where it begins; ``info`` holds ``walker`` (the index) and ``temperature_K``.
        beads: of its ring polymer.
    """

    index: int
    start: Atoms
    beads: int

    @property
    def temperature_K(self) -> float:
        """Of its thermostat."""
        return self.start.info["temperature_K"]

    def ring(self, frames: Sequence[Atoms], rng: np.random.Generator) -> RingPolymer:
        """The state in its last frames, one for each bead; at the start if there are none."""
        masses = self.start.get_masses()
        if frames:
            positions = np.array([frame.positions for frame in frames])
            velocities = np.array([frame.arrays["velocities"] for frame in frames])
        else:
            positions = np.array([self.start.positions] * self.beads)
            velocities = thermal_velocities(masses, self.beads, self.temperature_K, rng)
        return RingPolymer(masses, positions, velocities, self.temperature_K)


def make_walkers(structures: Sequence[Atoms], options: DistillOptions) -> list[Walker]:
    """One or more for each structure and temperature; periodic cells are strained."""
    walkers: list[Walker] = []
    for atoms in structures:
        for temperature in options.temperatures_K:
            for _ in range(options.trajectories):
                index = len(walkers)
                rng = np.random.default_rng([options.seed, index])
                start = bare(atoms)
                if atoms.pbc.all():
                    strain = np.triu(rng.uniform(-options.strain, options.strain, (3, 3)))
                    start.set_cell(start.cell.array @ (np.eye(3) + strain), scale_atoms=True)
                start.set_cell(rounded(start.cell.array))
                start.positions = rounded(start.positions)
                start.info |= {"walker": index, "temperature_K": float(temperature)}
                walkers.append(Walker(index, start, options.beads))
    return walkers


def run_segment(
    walker: Walker,
    before: Sequence[Atoms],
    fast: ServedForce,
    slow: ServedForce | None,
    options: DistillOptions,
    rng: np.random.Generator,
) -> list[Atoms] | None:
    """Run Langevin dynamics from one frame to the next.

    Args:
        walker: whose trajectory it is.
        before: its last frames, one for each bead; from its start if there are none.
        fast: the force of every inner step.
        slow: what corrects it at every outer step, if anything.
        options: steps and limits.
        rng: of the thermostat.

    Returns:
        A frame for each bead with the velocities (Å/fs) and, if there is a slow force, its labels
        and the array ``gap``: slow minus fast force, eV/Å. ``None`` if the dynamics has blown up.
    """
    ring = walker.ring(before, rng)
    labels = [frame.get_forces() for frame in before if frame.calc is not None]
    dynamics = MTSDynamics(
        ring,
        partial(fast, walker.start),
        None if slow is None else partial(slow, walker.start),
        timestep_fs=options.timestep_fs,
        stride=options.stride,
        relaxation_fs=RELAXATION_FS,
        slow_forces=np.array(labels) if len(labels) == len(ring.positions) else None,
    )
    for step in range(options.outer_steps):
        dynamics.step(rng, rounded if step == options.outer_steps - 1 else None)
        largest = np.linalg.norm(dynamics.force + dynamics.gap, axis=-1).max()
        if not (largest < options.max_force and ring.temperature_K < TOO_HOT * ring.target_K):
            return None
    return [_frame(walker, dynamics, bead, fast, slow) for bead in range(walker.beads)]


def _frame(
    walker: Walker, dynamics: MTSDynamics, bead: int, fast: ServedForce, slow: ServedForce | None
) -> Atoms:
    """Where a bead is now, with its labels."""
    atoms = walker.start.copy()
    atoms.positions = dynamics.ring.positions[bead]
    atoms.info["bead"] = bead
    atoms.arrays["velocities"] = rounded(dynamics.ring.velocities[bead])
    if slow is not None:
        atoms.arrays["gap"] = rounded(dynamics.gap[bead])
    source = slow or fast
    return labelled(atoms, dynamics.results[bead], stress=source.has_stress)
