"""Particles that forces kick and that drift freely between kicks."""

from __future__ import annotations

import numpy as np
from ase import units
from numpy.typing import NDArray

from .units import ACCELERATION

__all__ = ["Particles", "thermal_speeds", "thermal_velocities", "thermalized"]


class Particles:
    """Classical particles, one copy of a system or many.

    Args:
        masses: shape (N,), amu.
        positions: shape (…, N, 3), Å.
        velocities: shape (…, N, 3), Å/fs.
    """

    def __init__(
        self,
        masses: NDArray[np.float64],
        positions: NDArray[np.float64],
        velocities: NDArray[np.float64],
    ) -> None:
        self.masses = masses[:, None]
        self.positions = positions
        self.velocities = velocities

    def kick(self, forces: NDArray[np.float64], time_fs: float) -> None:
        """Change the velocities by forces, shape (…, N, 3), eV/Å."""
        self.velocities = self.velocities + time_fs * ACCELERATION * forces / self.masses

    def drift(self, time_fs: float) -> None:
        """Move freely."""
        self.positions = self.positions + time_fs * self.velocities

    @property
    def kinetic_energy(self) -> float:
        """Of all copies together, eV."""
        return float(0.5 * (self.masses * self.velocities**2).sum() / ACCELERATION)


def thermal_speeds(
    masses: NDArray[np.float64],
    temperature_K: float,
) -> NDArray[np.float64]:
    """Standard deviations of velocity components in equilibrium, Å/fs, in the shape of masses."""
    return np.sqrt(units.kB * temperature_K * ACCELERATION / masses)


def thermal_velocities(
    masses: NDArray[np.float64],
    beads: int,
    temperature_K: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw velocities (P, N, 3), Å/fs, of P beads at ``P temperature_K``; masses (N,), amu."""
    speeds = thermal_speeds(masses, beads * temperature_K)
    return speeds[:, None] * rng.standard_normal((beads, len(masses), 3))


def thermalized(
    velocities: NDArray[np.float64],
    noise: NDArray[np.float64],
    kept: float | NDArray[np.float64],
    speeds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return velocities after the exact step of a Langevin thermostat.

    ============  ==========  =================================================
    symbol        variable
    ============  ==========  =================================================
    v             velocities  shape (…, N, 3), Å/fs
    ξ             noise       normal numbers, shape (…, N, 3)
    c = e^(-γt)   kept        what is left of a velocity, in (0, 1]
    √(kT/m)       speeds      of :func:`thermal_speeds`, Å/fs
    ============  ==========  =================================================

    ``v' = c v + √(1 - c²) √(kT/m) ξ``; Bussi and Parrinello, Phys. Rev. E 75, 056707 (2007).
    """
    return kept * velocities + np.sqrt(1.0 - np.square(kept)) * speeds * noise
