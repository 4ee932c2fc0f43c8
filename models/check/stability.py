"""Whether multiple time stepping of a linear system stays bounded, and how fast it grows if not.

Coordinates are mass-weighted, stiffnesses in eV/Å²/amu, ``acceleration = -K x``. The integrator is
i-PI's: half a kick of the slow force, ``stride`` velocity-Verlet steps on the fast one, half a kick
of the slow force.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["EV_PER_A2_AMU", "growth", "period_fs", "propagator", "strides_within"]

EV_PER_A2_AMU = 0.009648533212
"""1 eV/Å²/amu in fs⁻²."""


def period_fs(stiffness: float) -> float:
    """Period of a vibration of that mass-weighted stiffness; infinite where it is not positive."""
    return float(2.0 * np.pi / np.sqrt(stiffness * EV_PER_A2_AMU)) if stiffness > 0 else np.inf


def propagator(
    slow: NDArray[np.float64], fast: NDArray[np.float64], timestep_fs: float, stride: int
) -> NDArray[np.float64]:
    """One outer step of ``stride`` inner steps, acting on (x, v), shape (2n, 2n)."""
    n = len(fast)
    one, none = np.eye(n), np.zeros((n, n))

    def kick(stiffness: NDArray[np.float64], time_fs: float) -> NDArray[np.float64]:
        return np.block([[one, none], [-0.5 * time_fs * EV_PER_A2_AMU * stiffness, one]])

    drift = np.block([[one, timestep_fs * one], [none, one]])
    inner = kick(fast, timestep_fs) @ drift @ kick(fast, timestep_fs)
    outer = kick(slow, stride * timestep_fs)
    return outer @ np.linalg.matrix_power(inner, stride) @ outer


def growth(
    slow: NDArray[np.float64], fast: NDArray[np.float64], timestep_fs: float, stride: int
) -> float:
    """Rate at which the worst amplitude grows, 1/ps; 0 (to rounding) where all stays bounded."""
    radius = np.abs(np.linalg.eigvals(propagator(slow, fast, timestep_fs, stride))).max()
    return float(1e3 * np.log(radius) / (stride * timestep_fs))


def strides_within(rates: Sequence[float], limit: float) -> int:
    """The largest stride M such that the rates of 1, 2, … M all stay within ``limit``; 0 if none.

    Args:
        rates: what is to be limited (growth, a drift), for the strides 1, 2, ….
        limit: in the same unit.
    """
    beyond = [stride for stride, rate in enumerate(rates, 1) if rate > limit]
    return beyond[0] - 1 if beyond else len(rates)
