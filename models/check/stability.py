"""Stability of multiple time stepping for a linear system: bounded, or growing at a rate.

The integrator is i-PI's: half a kick of the slow force, M velocity-Verlet steps on the fast one,
half a kick of the slow force. On mass-weighted coordinates it is a matrix that acts on (x, v), and
what grows is what has an eigenvalue outside the unit circle.

=============  ===========  ==============================================================
symbol         variable
=============  ===========  ==============================================================
K_slow         slow         stiffness of the gap, shape (n, n), eV/Å²/amu; ``a = -K x``
K_fast         fast         stiffness of the fast force, same shape and unit
Δt             timestep_fs  inner step, fs
M              stride       inner steps in an outer one
kick_K(t)      kick         ``v -= ½ t K x``
ω              spring       frequency of a ring polymer's mode, 1/fs; 0 without beads
drift          drift        ``x += Δt v``, or exact motion of frequency ω
P              propagator   ``kick_slow(M Δt) [kick_fast(Δt) drift kick_fast(Δt)]^M`` and again
                            ``kick_slow(M Δt)``, shape (2n, 2n)
ρ              radius       the largest absolute value of an eigenvalue of P
ln ρ / (M Δt)  growth       1/ps
=============  ===========  ==============================================================

Such resonances: Schlick, Mandziuk, Skeel and Srinivas, J. Comput. Phys. 140, 1 (1998); Ma,
Izaguirre and Skeel, SIAM J. Sci. Comput. 24, 1951 (2003).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..dynamics.units import ACCELERATION

__all__ = ["growth", "period_fs", "propagator", "strides_within"]


def period_fs(stiffness: float) -> float:
    """Period of a vibration of that mass-weighted stiffness; infinite where it is not positive."""
    return float(2.0 * np.pi / np.sqrt(stiffness * ACCELERATION)) if stiffness > 0 else np.inf


def propagator(
    slow: NDArray[np.float64],
    fast: NDArray[np.float64],
    timestep_fs: float,
    stride: int,
    spring: float = 0.0,
) -> NDArray[np.float64]:
    """Return one outer step as a matrix on (x, v), shape (2n, 2n).

    Args:
        slow: stiffness of the gap, shape (n, n), eV/Å²/amu.
        fast: stiffness of the fast force, shape (n, n), eV/Å²/amu.
        timestep_fs: inner step.
        stride: inner steps in an outer one.
        spring: frequency of the mode of a ring polymer, 1/fs, in which all moves.
    """
    n = len(fast)
    one, none = np.eye(n), np.zeros((n, n))

    def kick(stiffness: NDArray[np.float64], time_fs: float) -> NDArray[np.float64]:
        """A half-kick by forces of that stiffness, shape (n, n), as a matrix of shape (2n, 2n)."""
        return np.block([[one, none], [-0.5 * time_fs * ACCELERATION * stiffness, one]])

    angle = spring * timestep_fs
    reach = timestep_fs * np.sinc(angle / np.pi)
    drift = np.block(
        [[np.cos(angle) * one, reach * one], [-spring * np.sin(angle) * one, np.cos(angle) * one]]
    )
    inner = kick(fast, timestep_fs) @ drift @ kick(fast, timestep_fs)
    outer = kick(slow, stride * timestep_fs)
    return outer @ np.linalg.matrix_power(inner, stride) @ outer


def growth(
    slow: NDArray[np.float64],
    fast: NDArray[np.float64],
    timestep_fs: float,
    stride: int,
    spring: float = 0.0,
) -> float:
    """Rate at which the worst amplitude grows, 1/ps; 0 (to rounding) where all stays bounded.

    Arguments as of :func:`propagator`, shape (n, n).
    """
    step = propagator(slow, fast, timestep_fs, stride, spring)
    radius = np.abs(np.linalg.eigvals(step)).max()
    return float(1e3 * np.log(radius) / (stride * timestep_fs))


def strides_within(rates: Sequence[float], limit: float) -> int:
    """The largest stride M such that the rates of 1, 2, … M all stay within ``limit``; 0 if none.

    Args:
        rates: what is to be limited (growth, a drift), for the strides 1, 2, ….
        limit: in the same unit.
    """
    beyond = [stride for stride, rate in enumerate(rates, 1) if rate > limit]
    return beyond[0] - 1 if beyond else len(rates)
