"""Heating of a run at constant energy by impulses of the gap, for every stride at once.

Along a trajectory the gap ``g`` does the work ``∫ g·v dt``. Impulses every M-th step do that of the
trapezoidal rule with the outer step: right on average, with an error from what changes within it.
That error comes and goes by chance, so that the energy does a random walk, and phase space having
more room at higher energies, walks upwards: by the variance of the error in unit time over 2 k T.
What stays of the gap's curl and what a resonance piles up are in it too, as long as they are small.

==========================  ===========  =======================================================
symbol                      variable
==========================  ===========  =======================================================
h                           timestep_fs  inner step, fs
M                           stride       inner steps in an outer one
P_i(t) = g_i·v_i            power        of the gap on atom i, shape (T, N), eV/fs
∫₀ᵗ P_i                     work         by the trapezoidal rule with the inner step, (T, N), eV
ε_i(t)                      error        ``½ M h (P_i(t) + P_i(t + M h)) - ∫ P_i`` from t to t + M h
K                           outer_steps  outer steps in a window
w_k = sin²(π (k + ½) / K)   weights      of a window's outer steps, shape (K,)
E_i = Σ_k w_k ε_i(t_k)      summed       of a window, shape (windows, N), eV
τ = M h Σ_k w_k²            duration     of a window, fs
n_ij                        near         1 for atoms whose errors may be correlated, (N, N)
E_i Σ_j n_ij E_j / 2 k τ    _rates       drift of atom i times the temperature, meV/ps K
==========================  ===========  =======================================================

Their mean over windows and atoms, divided by the temperature, is the drift: the Einstein relation
between the spread of a random walk in energy and its mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import kB
from numpy.typing import NDArray

from ..errors import ModelError
from .probe import Probe
from .trajectory import Trajectory, follow

__all__ = ["Heating", "evenly_spaced", "heating", "predict_drifts", "temperature_of"]

ATOM_STEPS = 50_000  # that are followed: a single molecule's one start tells little
WINDOW_STEPS = 160  # over which work is summed
ERROR_GROUPS = 8  # of atoms, whose rates tell the error


@dataclass(frozen=True)
class Heating:
    """A predicted drift, meV/atom/ps, and its standard error."""

    value: float
    error: float

    def scatter(self, n_atoms: int, temperature_K: float, time_ps: float) -> float:
        """Standard deviation of the drifts of single runs of that length, meV/atom/ps."""
        energy = 1e3 * kB * temperature_K
        return float(np.sqrt(2.0 * self.value * energy / (n_atoms * time_ps)))

    def rms(self, n_atoms: int, temperature_K: float, time_ps: float) -> float:
        """Root mean square drift of single runs of that length, meV/atom/ps."""
        return float(np.hypot(self.value, self.scatter(n_atoms, temperature_K, time_ps)))


def predict_drifts(
    frames: Sequence[Probe],
    timestep_fs: float,
    strides: Sequence[int],
    *,
    steps: int = 600,
    temperature_K: float,
    log: Callable[[str], None] = lambda _: None,
) -> tuple[dict[int, Heating], float]:
    """Predict the drift of each stride from dynamics that begin at some of the frames.

    Args:
        frames: of any atoms. The first is enough, unless it has few.
        timestep_fs: inner step.
        strides: M.
        steps: from each start.
        temperature_K: of first velocities.
        log: receives a line for each frame.

    Returns:
        Drifts by stride, where the dynamics are long enough, and the kinetic temperature, K.

    Raises:
        ModelError: if dynamics end in numbers that are not finite.
    """
    trajectories = []
    for number in evenly_spaced(frames, -(-ATOM_STEPS // (steps * frames[0].shape[0]))):
        log(f"dynamics from frame {number}")
        trajectories.append(follow(frames[number], timestep_fs, steps, temperature_K, seed=number))
    return heating(trajectories, strides), temperature_of(trajectories)


def evenly_spaced(frames: Sequence[object], count: int) -> list[int]:
    """At most ``count`` indices of frames, evenly from first to last."""
    return np.unique(np.linspace(0, len(frames) - 1, count).astype(int)).tolist()


def heating(trajectories: Sequence[Trajectory], strides: Sequence[int]) -> dict[int, Heating]:
    """Predict the drift of each stride for which the trajectories, of one length, are long enough.

    Raises:
        ModelError: if one of them ended in numbers that are not finite.
    """
    if not all(np.isfinite(trajectory.power).all() for trajectory in trajectories):
        raise ModelError(
            "expected a structure from which dynamics stay finite, got one from which they do not; "
            "relax it, or leave them out with --dynamics 0"
        )
    drifts = {}
    for stride in strides:
        outer_steps = max(4, round(WINDOW_STEPS / stride))
        if len(trajectories[0].power) > 2 * outer_steps * stride:
            rates = [_rates(trajectory, stride, outer_steps) for trajectory in trajectories]
            parts = [group.mean() for part in rates for group in _groups(part)]
            value = np.concatenate([part.ravel() for part in rates]).mean()
            mean = np.array([value, np.std(parts, ddof=1) / np.sqrt(len(parts))])
            drifts[stride] = Heating(*(mean / temperature_of(trajectories)).tolist())
    return drifts


def temperature_of(trajectories: Sequence[Trajectory]) -> float:
    """Kinetic temperature, K: that of one small molecule alone may be far from it."""
    return float(np.mean([trajectory.temperature_K for trajectory in trajectories]))


def _rates(trajectory: Trajectory, stride: int, outer_steps: int) -> NDArray[np.float64]:
    """Variance of the work's error in windows that begin at every step, meV/ps times K.

    Windows are smooth, since what only comes and goes would be taken for a walk at sharp ends.

    Returns:
        Of each window and atom, shape (windows, N).
    """
    power, h = trajectory.power, trajectory.timestep_fs
    single = 0.5 * h * (power[1:] + power[:-1])
    work = np.concatenate([np.zeros_like(power[:1]), single.cumsum(axis=0)])
    error = 0.5 * stride * h * (power[stride:] + power[:-stride]) - work[stride:] + work[:-stride]
    weights = np.sin(np.pi * (np.arange(outer_steps) + 0.5) / outer_steps) ** 2
    n = len(error) - (outer_steps - 1) * stride
    summed = np.zeros((n, error.shape[1]))
    for k, weight in enumerate(weights):
        summed += weight * error[k * stride : k * stride + n]
    squares = summed * (summed @ trajectory.near)
    duration = stride * h * (weights @ weights)
    return 1e6 * squares / (2.0 * kB * duration)


def _groups(rates: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Split rates (windows, N) into each half of the time, of every eighth atom each.

    Of all atoms where there are few.
    """
    count = ERROR_GROUPS if rates.shape[1] >= 2 * ERROR_GROUPS else 1
    return [half[:, k::count] for half in np.array_split(rates, 2) for k in range(count)]
