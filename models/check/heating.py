"""How fast impulses of the gap heat a run at constant energy, for every stride at once.

Along a trajectory the gap ``g`` does the work ``∫ g·v dt``. Impulses every M-th step do that of the
trapezoidal rule with the outer step: right on average, with an error from what changes within it.
That error comes and goes by chance, so that the energy does a random walk, and phase space having
more room at higher energies, walks upwards: by the variance of the error in unit time over 2 k T.
What stays of the gap's curl and what a resonance piles up are in it too, as long as they are small.
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

__all__ = ["Heating", "foresee", "heating", "spread", "temperature_of"]

MOVED = 50_000  # atoms times steps that are followed: a single molecule's one start tells little
WINDOW = 160  # steps over which work is summed
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

    def rms(self, n_atoms: int, temperature_K: float, time_ps: float) -> float:  # noqa: N803
        """Root mean square drift of single runs of that length, meV/atom/ps."""
        return float(np.hypot(self.value, self.scatter(n_atoms, temperature_K, time_ps)))


def foresee(
    frames: Sequence[Probe],
    timestep_fs: float,
    strides: Sequence[int],
    *,
    steps: int = 600,
    temperature_K: float,  # noqa: N803
    say: Callable[[str], None] = lambda _: None,
) -> tuple[dict[int, Heating], float]:
    """Foresee the drift of each stride from dynamics that begin at some of the frames.

    Args:
        frames: alike. The first is enough, unless it has few atoms.
        timestep_fs: inner step.
        strides: M.
        steps: from each start.
        temperature_K: of first velocities.
        say: told from which frame.

    Returns:
        Drifts by stride, where the dynamics are long enough, and the kinetic temperature, K.

    Raises:
        ModelError: if dynamics end in numbers that are not finite.
    """
    along = []
    for number in spread(frames, -(-MOVED // (steps * frames[0].shape[0]))):
        say(f"dynamics from frame {number}")
        along.append(follow(frames[number], timestep_fs, steps, temperature_K, seed=number))
    return heating(along, strides), temperature_of(along)


def spread(frames: Sequence[object], count: int) -> list[int]:
    """At most ``count`` numbers of frames, evenly from first to last."""
    return np.unique(np.linspace(0, len(frames) - 1, count).astype(int)).tolist()


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
