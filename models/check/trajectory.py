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
from .probe import Probe
from .stability import EV_PER_A2_AMU

__all__ = ["Trajectory", "follow"]

SETTLE = 100  # steps after drawing velocities that are not looked at
TOGETHER = 3.0  # Å: works on atoms farther apart are taken as independent


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The gap's work along some steps under the conservative force.

    Attributes:
        timestep_fs: of its steps.
        power: of the gap on each atom, shape (T, N), eV/fs.
        near: 1 for atoms not farther apart than ``TOGETHER``, each with itself too, (N, N).
        temperature_K: kinetic, mean of it.
    """

    timestep_fs: float
    power: NDArray[np.float64]
    near: csr_array
    temperature_K: float  # noqa: N815 (the unit's own letter)


def follow(
    probe: Probe,
    timestep_fs: float,
    steps: int,
    temperature_K: float,  # noqa: N803
    seed: int = 0,
) -> Trajectory:
    """Follow the conservative force at constant energy, with both forces at every step.

    Args:
        probe: a model with both, and where it begins.
        timestep_fs: of velocity Verlet.
        steps: that are looked at; ``SETTLE`` more come before.
        temperature_K: of the first velocities.
        seed: of these.
    """
    rng = np.random.default_rng(seed)
    masses, energy = probe.masses, kB * temperature_K
    velocities = rng.normal(size=probe.shape) * np.sqrt(energy * EV_PER_A2_AMU / masses)
    velocities -= (masses * velocities).sum(axis=0) / masses.sum()
    push = 0.5 * timestep_fs * EV_PER_A2_AMU / masses
    at = probe.structure
    forces = probe.served(at)
    power, kinetic = [], []
    for step in range(-SETTLE, steps):
        velocities = velocities + push * forces[Role.CONSERVATIVE]
        at = replace(at, positions=at.positions + timestep_fs * velocities)
        forces = probe.served(at)
        velocities = velocities + push * forces[Role.CONSERVATIVE]
        if step >= 0:
            gap = forces[Role.CONSERVATIVE] - forces[Role.DIRECT]
            power.append((gap * velocities).sum(axis=1))
            kinetic.append((masses * velocities**2).sum() / EV_PER_A2_AMU)
    free = max(1, probe.structure.positions.size - 3)
    temperature = float(np.mean(kinetic) / (free * kB))
    return Trajectory(timestep_fs, np.array(power), _near(probe.structure), temperature)


def _near(structure: Structure) -> csr_array:
    """1 for atoms not farther apart than ``TOGETHER``, each with itself too, (N, N)."""
    s = structure
    atoms = Atoms(s.numbers, s.positions, cell=s.cell, pbc=s.pbc)
    first, second = neighbor_list("ij", atoms, TOGETHER)
    n = len(atoms)
    return csr_array((np.ones(len(first)), (first, second)), (n, n)) + eye_array(n)
