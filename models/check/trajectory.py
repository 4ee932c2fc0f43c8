"""The work that the gap does along dynamics under the conservative force."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from ase.units import kB
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array

from ..base import Role, Structure
from ..dynamics.mts import velocity_verlet
from ..dynamics.particles import Particles, thermal_velocities
from .probe import Probe

__all__ = ["Trajectory", "follow"]

SETTLING_STEPS = 100  # after drawing velocities, not looked at
CORRELATION_RANGE = 3.0  # Å: works on atoms farther apart are taken as independent


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The gap's work along T steps under the conservative force.

    Attributes:
        timestep_fs: of its steps.
        power: of the gap on each atom, shape (T, N), eV/fs.
        near: 1 for atoms within ``CORRELATION_RANGE`` of each other, each with itself too, shape
            (N, N).
        temperature_K: kinetic, mean over the steps.
    """

    timestep_fs: float
    power: NDArray[np.float64]
    near: csr_array
    temperature_K: float


def follow(
    probe: Probe,
    timestep_fs: float,
    steps: int,
    temperature_K: float,
    seed: int = 0,
) -> Trajectory:
    """Follow the conservative force at constant energy, with both forces at every step.

    Args:
        probe: a model with both, and where it begins.
        timestep_fs: of velocity Verlet.
        steps: that are looked at; ``SETTLING_STEPS`` more come before.
        temperature_K: of the first velocities.
        seed: of these.
    """
    particles = _particles(probe, temperature_K, np.random.default_rng(seed))
    forces = probe.served(probe.structure)

    def evaluate() -> NDArray[np.float64]:
        """Conservative forces, shape (N, 3), eV/Å."""
        nonlocal forces
        forces = probe.served(replace(probe.structure, positions=particles.positions))
        return forces[Role.CONSERVATIVE]

    power, kinetic = [], []
    for step in range(-SETTLING_STEPS, steps):
        velocity_verlet(particles, forces[Role.CONSERVATIVE], evaluate, timestep_fs)
        if step >= 0:
            gap = forces[Role.CONSERVATIVE] - forces[Role.DIRECT]
            power.append((gap * particles.velocities).sum(axis=1))
            kinetic.append(particles.kinetic_energy)
    degrees_of_freedom = max(1, probe.structure.positions.size - 3)
    temperature = float(2.0 * np.mean(kinetic) / (degrees_of_freedom * kB))
    return Trajectory(timestep_fs, np.array(power), _near(probe.structure), temperature)


def _particles(
    probe: Probe,
    temperature_K: float,
    rng: np.random.Generator,
) -> Particles:
    """The atoms with thermal velocities and no net momentum."""
    masses = probe.masses
    (velocities,) = thermal_velocities(masses[:, 0], 1, temperature_K, rng)
    velocities -= (masses * velocities).sum(axis=0) / masses.sum()
    return Particles(masses[:, 0], probe.structure.positions, velocities)


def _near(structure: Structure) -> csr_array:
    """1 for atoms within ``CORRELATION_RANGE``, each with itself too, shape (N, N)."""
    s = structure
    atoms = Atoms(s.numbers, s.positions, cell=s.cell, pbc=s.pbc)
    first, second = neighbor_list("ij", atoms, CORRELATION_RANGE)
    n = len(atoms)
    return csr_array((np.ones(len(first)), (first, second)), (n, n)) + eye_array(n)
