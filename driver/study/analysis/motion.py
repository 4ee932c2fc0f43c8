"""How atoms move: vibrational density of states, velocity autocorrelation, diffusion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import periodogram

from .observables import BLOCKS, Curve, Scalar, blocked, parts
from .run_data import Frames, Run

__all__ = ["curves", "scalars"]

PER_CM = 1e12 / 2.99792458e10  # 1/ps in 1/cm
HIGHEST = 5000.0  # 1/cm: above all vibrations
FEW = 24  # frames in a block, for a spectrum
LONGEST_PS = 2.0  # of the autocorrelation shown
SPECTRUM_PS = 1.0  # longest block: runs of other lengths have the same resolution
FIT_PS = (1.0, 2.0)  # where the mean square displacement is a straight line, whatever the run
LAGS = 25  # in it
FOLDED = 0.2  # of the mean density, in the last twentieth of a spectrum


def curves(run: Run) -> list[Curve]:
    """Density of states and velocity autocorrelation, where velocities are written.

    Without the former where they are written too rarely for the fastest motions.
    """
    frames = run.frames("v_centroid") if run.beads > 1 else run.frames("velocities")
    if frames is None or len(frames.times) < BLOCKS * FEW:
        return []
    name = next(k for k in ("v_centroid", "velocities") if k in frames.beads[0][0].arrays)
    velocities = frames.array(name)
    masses = frames.beads[0][0].get_masses()
    step_ps = float(frames.times[1] - frames.times[0])
    length = min(len(frames.times) // BLOCKS, max(FEW, round(SPECTRUM_PS / step_ps)))
    blocks = len(frames.times) // length
    weighted = (velocities * np.sqrt(masses)[:, None]).reshape(len(velocities), -1)
    x = np.fft.rfftfreq(length, step_ps) * PER_CM

    def spectrum(part: slice) -> NDArray[np.float64]:
        return density_of_states(weighted[part][:length], step_ps)

    y, error = blocked(len(weighted), spectrum, blocks)
    times = step_ps * np.arange(min(length // 2, round(LONGEST_PS / step_ps)))

    def correlation(part: slice) -> NDArray[np.float64]:
        return autocorrelation(weighted[part], len(times))

    c, c_error = blocked(len(weighted), correlation, blocks)
    labels = ("autocorrelation", "all", "time (ps)", "velocity correlation")
    found = [Curve(*labels, times, c, c_error)]
    if not folded(y):
        x, y, error = (values[x <= HIGHEST] for values in (x, y, error))
        labels = ("vibrations", "all", "wave number (1/cm)", "density of states (cm)")
        found.insert(0, Curve(*labels, x, y, error))
    return found


def folded(density: NDArray[np.float64]) -> bool:
    """Whether a spectrum goes on beyond its end, so that faster motions are folded into it.

    Of a few sharp lines it cannot tell.
    """
    return float(density[-max(1, len(density) // 20) :].mean()) > FOLDED * float(density.mean())


def density_of_states(weighted: NDArray[np.float64], step_ps: float) -> NDArray[np.float64]:
    """Power spectrum of mass-weighted velocities, shape (frames, 3N), of area 1 over 1/cm."""
    _, power = periodogram(weighted, 1.0 / step_ps, window="hann", axis=0, detrend=False)
    total = power.sum(axis=1)
    width = PER_CM / (len(weighted) * step_ps)
    return total / (total.sum() * width)


def autocorrelation(weighted: NDArray[np.float64], lags: int) -> NDArray[np.float64]:
    """Correlation of a series with itself, shape (lags,), 1 at no lag; shape (frames, 3N) in."""
    n = len(weighted)
    transform = np.fft.rfft(weighted, 2 * n, axis=0)
    sums = np.fft.irfft((np.abs(transform) ** 2).sum(axis=1))[:lags]
    values = sums / (n - np.arange(lags))
    return values / values[0]


def scalars(run: Run) -> list[Scalar]:
    """Diffusion coefficient of each species from the mean square displacement, Å²/ps.

    Its slope from 1 to 2 ps, in runs of 4 ps and more: what atoms do in their cages before does
    not count, and runs of different lengths compare. The error is that of groups of atoms, most
    of which are neighbours in the file and so of one molecule. Of finite boxes: the correction for
    their size, which needs the viscosity, is not made.
    """
    frames = run.frames("x_centroid", "positions") if run.beads > 1 else run.frames("positions")
    if frames is None or frames.beads[0][0].cell.rank < 3:
        return []
    if frames.times[-1] - frames.times[0] < 2 * FIT_PS[1]:
        return []
    symbols = np.array(frames.beads[0][0].get_chemical_symbols())
    return [_diffusion(frames, symbols == s, s) for s in sorted(set(symbols))]


def _diffusion(frames: Frames, chosen: NDArray[np.bool_], symbol: str) -> Scalar:
    positions = np.array([frame.positions for frame in frames.beads[0]])
    positions = (positions - positions.mean(axis=1, keepdims=True))[:, chosen]
    step_ps = float(frames.times[1] - frames.times[0])
    first, last = (round(time / step_ps) for time in FIT_PS)
    lags = np.unique(np.linspace(max(first, 1), max(last, 2), LAGS).round().astype(int))

    def slope(part: slice) -> NDArray[np.float64]:
        msd = mean_square_displacement(positions[:, part], lags)
        return np.polyfit(step_ps * lags, msd, 1)[:1] / 6.0

    groups = parts(positions.shape[1], slope)[:, 0]
    error = float(groups.std(ddof=1) / np.sqrt(len(groups))) if len(groups) > 1 else None
    return Scalar(f"diffusion({symbol})", "Å²/ps", float(groups.mean()), error)


def mean_square_displacement(
    positions: NDArray[np.float64], lags: NDArray[np.int_]
) -> NDArray[np.float64]:
    """Over all time origins, for each lag in frames; positions (frames, n, 3)."""
    return np.array([((positions[k:] - positions[:-k]) ** 2).sum(-1).mean() for k in lags])
