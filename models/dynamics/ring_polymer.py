"""Ring polymers in normal modes; with one bead they are classical particles.

A path-integral system of P beads is P copies at temperature ``P T``, each joined to the next by
springs of frequency ``P k_B T / ħ``. Free motion under the springs is exact, so that the time step
is that of the physical forces; the thermostat is PILE-L (J. Chem. Phys. 133, 124104).

================  ================  ==================================================
symbol            variable
================  ================  ==================================================
ω_P = P k_B T/ħ   springs           scale of the frequencies, 1/fs
ω_k               _frequencies      of the normal modes, shape (P,), 1/fs
C_jk              _modes            from modes to beads, shape (P, P)
γ_k               rates             friction of each mode: 2 ω_k, the centroid's 1/τ
================  ================  ==================================================
"""

from __future__ import annotations

import numpy as np
from ase import units
from numpy.typing import NDArray

from .particles import Particles, thermal_speeds, thermalized
from .units import HBAR_EV_FS

__all__ = ["RingPolymer", "ring_period_fs", "spring_frequencies"]


def ring_period_fs(vibration_fs: float, beads: int, temperature_K: float) -> float:
    """Period of the fastest motion of ring polymers: the springs' and a vibration's together.

    ``(2π / τ)² = (2π / τ_vibration)² + (2 ω_P)²``; one bead has no springs.
    """
    springs = 2.0 * beads * units.kB * temperature_K / HBAR_EV_FS if beads > 1 else 0.0
    return float(2.0 * np.pi / np.hypot(2.0 * np.pi / vibration_fs, springs))


def spring_frequencies(
    beads: int, temperature_K: float, contraction: int | None = None
) -> NDArray[np.float64]:
    """Frequencies of free ring polymers' modes, 1/fs, each once, slowest first: 2 ω_P sin(π k / P).

    Args:
        beads: P.
        temperature_K: of the physical system.
        contraction: to so many beads, which keeps the slowest modes; ``None`` for all.
    """
    kept = np.arange((contraction or beads) // 2 + 1)
    return 2.0 * beads * units.kB * temperature_K / HBAR_EV_FS * np.sin(np.pi * kept / beads)


class RingPolymer(Particles):
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
        temperature_K: float,
    ) -> None:
        super().__init__(masses, positions, velocities)
        self.target_K = temperature_K
        beads = len(positions)
        one = np.eye(beads)
        chain = 2 * one - np.roll(one, 1, axis=0) - np.roll(one, -1, axis=0)
        squares, self._modes = np.linalg.eigh(chain)
        squares[0] = 0.0  # the centroid
        springs = beads * units.kB * temperature_K / HBAR_EV_FS
        self._frequencies = np.sqrt(squares) * springs
        self._speeds = thermal_speeds(self.masses, beads * temperature_K)

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
        v = self._to_modes(self.velocities)
        noise = rng.standard_normal(v.shape)
        self.velocities = self._from_modes(thermalized(v, noise, kept, self._speeds))

    @property
    def temperature_K(self) -> float:
        """Kinetic temperature of the physical system."""
        components = self.velocities.size * len(self.velocities)
        return 2.0 * self.kinetic_energy / (components * units.kB)

    def _to_modes(self, beads: NDArray[np.float64]) -> NDArray[np.float64]:
        """From (P, N, 3) of beads to (P, N, 3) of modes."""
        return np.tensordot(self._modes.T, beads, axes=1)

    def _from_modes(self, modes: NDArray[np.float64]) -> NDArray[np.float64]:
        """From (P, N, 3) of modes to (P, N, 3) of beads."""
        return np.tensordot(self._modes, modes, axes=1)
