"""Ring polymers in normal modes; with one bead they are classical particles.

A path-integral system of P beads is P copies at temperature ``P T``, each joined to the next by
springs of frequency ``P k_B T / ħ``. Free motion under the springs is exact, so that the time step
is that of the physical forces; the thermostat is PILE-L (J. Chem. Phys. 133, 124104).
Units: Å, fs, amu, eV.
"""

from __future__ import annotations

import numpy as np
from ase import units
from numpy.typing import NDArray

__all__ = ["ACCELERATION", "RingPolymer", "thermal_velocities"]

ACCELERATION = units.fs**2
"""Å/fs² for one eV/Å on one amu."""

HBAR_EV_FS = units._hbar / units._e * 1e15


class RingPolymer:
    """The state of one system.

    Args:
        masses: shape (N,), amu.
        positions: shape (P, N, 3), Å.
        velocities: shape (P, N, 3), Å/fs.
        temperature_K: of the physical system.
    """

    def __init__(
        self,
        masses: NDArray[np.float64],
        positions: NDArray[np.float64],
        velocities: NDArray[np.float64],
        temperature_K: float,  # noqa: N803 (the unit's own letter)
    ) -> None:
        self.masses = masses[:, None]
        self.positions = positions
        self.velocities = velocities
        self.target_K = temperature_K
        beads = len(positions)
        self._kT = beads * units.kB * temperature_K
        one = np.eye(beads)
        springs = 2 * one - np.roll(one, 1, axis=0) - np.roll(one, -1, axis=0)
        squares, self._modes = np.linalg.eigh(springs)
        squares[0] = 0.0  # the centroid
        self._frequencies = np.sqrt(squares) * self._kT / HBAR_EV_FS

    def kick(self, forces: NDArray[np.float64], time_fs: float) -> None:
        """Change the velocities by forces, shape (P, N, 3), eV/Å."""
        self.velocities = self.velocities + time_fs * ACCELERATION * forces / self.masses

    def drift(self, time_fs: float) -> None:
        """Move freely under the springs."""
        x, v = self._to_modes(self.positions), self._to_modes(self.velocities)
        frequencies = self._frequencies[:, None, None]
        cosine, sine = np.cos(frequencies * time_fs), np.sin(frequencies * time_fs)
        reach = time_fs * np.sinc(frequencies * time_fs / np.pi)
        self.positions = self._from_modes(cosine * x + reach * v)
        self.velocities = self._from_modes(cosine * v - frequencies * sine * x)

    def thermalize(self, time_fs: float, relaxation_fs: float, rng: np.random.Generator) -> None:
        """Let a Langevin thermostat act: the centroid relaxes in ``relaxation_fs``."""
        rates = 2.0 * self._frequencies
        rates[0] = 1.0 / relaxation_fs
        kept = np.exp(-rates * time_fs)[:, None, None]
        noise = np.sqrt((1.0 - kept**2) * self._kT * ACCELERATION / self.masses)
        v = self._to_modes(self.velocities)
        self.velocities = self._from_modes(kept * v + noise * rng.standard_normal(v.shape))

    @property
    def temperature_K(self) -> float:  # noqa: N802
        """Kinetic temperature of the physical system."""
        kinetic = 0.5 * (self.masses * self.velocities**2).sum() / ACCELERATION
        return float(2.0 * kinetic / (self.velocities.size * len(self.velocities) * units.kB))

    def _to_modes(self, beads: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.tensordot(self._modes.T, beads, axes=1)

    def _from_modes(self, modes: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.tensordot(self._modes, modes, axes=1)


def thermal_velocities(
    masses: NDArray[np.float64],
    beads: int,
    temperature_K: float,  # noqa: N803
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Velocities (P, N, 3), Å/fs, of P beads at ``P temperature_K``."""
    width = np.sqrt(beads * units.kB * temperature_K * ACCELERATION / masses)
    return width[:, None] * rng.standard_normal((beads, len(masses), 3))
