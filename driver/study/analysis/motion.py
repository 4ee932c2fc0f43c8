"""Motion of atoms: vibrational density of states, velocity autocorrelation, diffusion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...ipi.trajectories import labels_of_frame
from .observables import BLOCKS, Curve, Scalar, blocked, parts
from .run_data import Frames, Run
from .slab import empty_axes

__all__ = ["curves", "scalars"]

PER_CM = 1e12 / 2.99792458e10  # 1/ps in 1/cm
MAX_WAVE_NUMBER = 5000.0  # 1/cm: above all vibrations
MIN_BLOCK_FRAMES = 24  # for a spectrum
MAX_LAG_PS = 2.0  # of the autocorrelation shown
MAX_BLOCK_PS = 1.0  # of a spectrum: runs of other lengths have the same resolution
FIT_PS = (1.0, 2.0)  # where the mean square displacement is a straight line, whatever the run
FIT_LAGS = 25
MAX_END_DENSITY = 0.2  # of the mean density, in the last twentieth of a spectrum


def curves(run: Run) -> list[Curve]:
    """Density of states and velocity autocorrelation, where velocities are written.

    Without the former where they are written too rarely for the fastest motions.
    """
    frames = run.frames("v_centroid") if run.beads > 1 else run.frames("velocities")
    if frames is None or len(frames.times) < BLOCKS * MIN_BLOCK_FRAMES:
        return []
    name = next(k for k in ("v_centroid", "velocities") if k in frames.beads[0][0].arrays)
    velocities = frames.array(name)
    masses = frames.beads[0][0].get_masses()
    step_ps = float(frames.times[1] - frames.times[0])
    length = min(len(frames.times) // BLOCKS, max(MIN_BLOCK_FRAMES, round(MAX_BLOCK_PS / step_ps)))
    blocks = len(frames.times) // length
    weighted = (velocities * np.sqrt(masses)[:, None]).reshape(len(velocities), -1)
    x = np.asarray(np.fft.rfftfreq(length, step_ps) * PER_CM, np.float64)

    def spectrum(part: slice) -> NDArray[np.float64]:
        """Of shape (frequencies,)."""
        return density_of_states(weighted[part][:length], step_ps)

    y, error = blocked(len(weighted), spectrum, blocks)
    lags = min(length // 2, round(MAX_LAG_PS / step_ps))

    def correlation(part: slice) -> NDArray[np.float64]:
        """Of shape (lags,)."""
        return autocorrelation(weighted[part], lags)

    c, c_error = blocked(len(weighted), correlation, blocks)
    labels = ("autocorrelation", "all", "time (ps)", "velocity correlation")
    times = np.asarray(step_ps * np.arange(lags), np.float64)
    decay = Curve(*labels, times, c, c_error, only=True)
    if folded(y):
        return [decay]
    shown = x <= MAX_WAVE_NUMBER
    labels = ("vibrations", "all", "wave number (1/cm)", "density of states (cm)")
    return [Curve(*labels, x[shown], y[shown], error[shown], only=True), decay]


def folded(density: NDArray[np.float64]) -> bool:
    """Whether a spectrum goes on beyond its end, so that faster motions are folded into it.

    Of a few sharp lines it cannot tell.

    Args:
        density: of states, shape (wave numbers,).
    """
    end = density[-max(1, len(density) // 20) :]
    return float(end.mean()) > MAX_END_DENSITY * float(density.mean())


def density_of_states(weighted: NDArray[np.float64], step_ps: float) -> NDArray[np.float64]:
    """Density of states: power spectrum of mass-weighted velocities, of area 1 over 1/cm.

    The velocity's power spectrum is the Fourier transform of its autocorrelation (Wiener and
    Khinchin); weighted by mass it is the density of states of harmonic motion (Dickey and Paskin,
    Phys. Rev. 188, 1407 (1969)).

    ====================  ==================================================
    √m v                  ``weighted``
    |FT(√m v)|²           ``power``, of each coordinate
    Σ |FT(√m v)|²         ``total``
    Δν̃                    ``width``, between two wave numbers, 1/cm
    ====================  ==================================================

    Args:
        weighted: shape (frames, 3N), in any unit.
        step_ps: between frames.

    Returns:
        Density in cm, shape (frames // 2 + 1,).
    """
    n = len(weighted)
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n) / n)  # Hann's
    power = np.abs(np.fft.rfft(window[:, None] * weighted, axis=0)) ** 2
    power[1 : (n + 1) // 2] *= 2.0  # and those of negative frequency
    total = power.sum(axis=1)
    width = PER_CM / (n * step_ps)
    return total / (total.sum() * width)


def autocorrelation(weighted: NDArray[np.float64], lags: int) -> NDArray[np.float64]:
    """Correlation of a series with itself, 1 at no lag: by the transform of its power spectrum.

    Args:
        weighted: the series, shape (frames, n).
        lags: how many, in frames, from 0.

    Returns:
        Shape (lags,), over all n together.
    """
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
    their size, which needs the viscosity, is not made. Not with vacuum, where ways are not alike
    in all directions.
    """
    frames = run.frames("x_centroid", "positions") if run.beads > 1 else run.frames("positions")
    if frames is None or frames.beads[0][0].cell.rank < 3 or empty_axes(frames.beads[0][0]):
        return []
    if frames.times[-1] - frames.times[0] < 2 * FIT_PS[1]:
        return []
    symbols = np.array(labels_of_frame(frames.beads[0][0]))
    return [_diffusion(frames, symbols == s, s) for s in sorted(set(symbols))]


def _diffusion(frames: Frames, chosen: NDArray[np.bool_], symbol: str) -> Scalar:
    """Diffusion coefficient of the atoms ``chosen``, shape (N,), Å²/ps.

    Einstein's relation, ``D = d⟨|r(t) − r(0)|²⟩/dt / 6``:

    ====================  ===========================================
    ⟨|r(t) − r(0)|²⟩      ``msd``, Å², shape (lags,)
    t                     ``step_ps * lags``
    D                     the mean of ``groups``, of an eighth each
    ====================  ===========================================
    """
    positions = np.array([frame.positions for frame in frames.beads[0]])
    positions = (positions - positions.mean(axis=1, keepdims=True))[:, chosen]
    step_ps = float(frames.times[1] - frames.times[0])
    first, last = (round(time / step_ps) for time in FIT_PS)
    lags = np.unique(np.linspace(max(first, 1), max(last, 2), FIT_LAGS).round().astype(int))

    def slope(part: slice) -> NDArray[np.float64]:
        """Diffusion of some of the atoms, shape (1,), Å²/ps."""
        msd = mean_square_displacement(positions[:, part], lags)
        return np.polyfit(step_ps * lags, msd, 1)[:1] / 6.0

    groups = parts(positions.shape[1], slope)[:, 0]
    error = float(groups.std(ddof=1) / np.sqrt(len(groups))) if len(groups) > 1 else None
    return Scalar(f"diffusion({symbol})", "Å²/ps", float(groups.mean()), error)


def mean_square_displacement(
    positions: NDArray[np.float64], lags: NDArray[np.int_]
) -> NDArray[np.float64]:
    """Mean square displacement over all time origins, Å².

    Args:
        positions: Å, not wrapped, shape (frames, n, 3).
        lags: in frames, shape (lags,).

    Returns:
        Shape (lags,).
    """
    return np.array([((positions[k:] - positions[:-k]) ** 2).sum(-1).mean() for k in lags])
