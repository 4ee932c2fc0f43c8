"""How fast impulses of the gap heat a run at constant energy, for every stride at once.

Along a trajectory the gap ``g`` does the work ``∫ g·v dt``. Impulses every M-th step do that of the
trapezoidal rule with the outer step: right on average, with an error from what changes within it.
That error comes and goes by chance, so that the energy does a random walk, and phase space having
more room at higher energies, walks upwards: by the variance of the error in unit time over 2 k T.
What stays of the gap's curl and what a resonance piles up are in it too, as long as they are small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from ase.units import kB
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array

from halfkick.models.base import ModelError, Role, Structure
from halfkick.models.check.probe import Probe
from halfkick.models.check.stability import EV_PER_A2_AMU

__all__ = ["Heating", "Trajectory", "follow", "heating", "temperature_of"]

SETTLE, WINDOW = 100, 160  # steps: after drawing velocities, and over which work is summed
TOGETHER = 3.0  # Å: works on atoms farther apart are taken as independent
GROUPS = 8  # of atoms, whose rates tell the error


@dataclass(frozen=True)
class Heating:
    """A drift that is foreseen, meV/atom/ps, and its standard error."""

    value: float
    error: float

    def scatter(self, n_atoms: int, temperature_K: float, time_ps: float) -> float:  # noqa: N803
        """Standard deviation of the drifts of single runs of that length, meV/atom/ps."""
        energy = 1e3 * kB * temperature_K
        return float(np.sqrt(2.0 * self.value * energy / (n_atoms * time_ps)))


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


def heating(along: Sequence[Trajectory], strides: Sequence[int]) -> dict[int, Heating]:
    """Foresee the drift of each stride for which the trajectories, of one length, are long enough.

    Raises:
        ModelError: if one of them ended in numbers that are not finite.
    """
    if not all(np.isfinite(a.power).all() for a in along):
        raise ModelError(
            "expected a structure from which dynamics stay finite, got one from which they do not; "
            "relax it, or leave them out with --dynamics 0"
        )
    found = {}
    for stride in strides:
        outer_steps = max(4, round(WINDOW / stride))
        if len(along[0].power) > 2 * outer_steps * stride:
            rates = np.array([_rates(a, stride, outer_steps) for a in along])
            parts = [group.mean() for part in rates for group in _groups(part)]
            mean = np.array([rates.mean(), np.std(parts, ddof=1) / np.sqrt(len(parts))])
            found[stride] = Heating(*(mean / temperature_of(along)).tolist())
    return found


def temperature_of(along: Sequence[Trajectory]) -> float:
    """Kinetic temperature, K: that of one small molecule alone may be far from it."""
    return float(np.mean([a.temperature_K for a in along]))


def _rates(along: Trajectory, stride: int, outer_steps: int) -> NDArray[np.float64]:
    """Variance of the work's error in windows that begin at every step, meV/ps times K.

    Windows are smooth, since what only comes and goes would be taken for a walk at sharp ends.
    """
    power, h = along.power, along.timestep_fs
    single = 0.5 * h * (power[1:] + power[:-1])
    until = np.concatenate([np.zeros_like(power[:1]), single.cumsum(axis=0)])
    error = 0.5 * stride * h * (power[stride:] + power[:-stride]) - until[stride:] + until[:-stride]
    weights = np.sin(np.pi * (np.arange(outer_steps) + 0.5) / outer_steps) ** 2
    n = len(error) - (outer_steps - 1) * stride
    work = sum(w * error[k * stride : k * stride + n] for k, w in enumerate(weights))  # (n, N) eV
    squares = work * (work @ along.near)
    duration = stride * h * (weights @ weights)
    return 1e6 * squares / (2.0 * kB * duration)


def _groups(rates: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Rates in each half of the time, of every eighth atom each; of all where there are few."""
    count = GROUPS if rates.shape[1] >= 2 * GROUPS else 1
    return [half[:, k::count] for half in np.array_split(rates, 2) for k in range(count)]
