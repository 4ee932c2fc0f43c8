"""How atoms move: spectra, correlations and diffusion of motions that are known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from scipy.signal import periodogram

from halfkick.driver.study.analysis import motion
from halfkick.driver.study.analysis.run_data import Frames


def oscillation(per_cm, step_ps, n):
    """Velocities of two atoms that vibrate at that wave number, shape (n, 6)."""
    phase = 2 * np.pi * per_cm / motion.PER_CM * step_ps * np.arange(n)
    return np.cos(phase)[:, None] * np.array([1.0, 0.5, 0, -1.0, 0, 2.0])


def test_spectrum_and_correlation_of_a_vibration():
    step, n = 0.001, 4000
    v = oscillation(1600.0, step, n)
    x = np.fft.rfftfreq(n, step) * motion.PER_CM
    spectrum = motion.density_of_states(v, step)
    assert x[spectrum.argmax()] == pytest.approx(1600.0, abs=2 * x[1])
    assert spectrum.sum() * x[1] == pytest.approx(1.0)
    assert spectrum[abs(x - 1600.0) > 50].max() < 1e-4 * spectrum.max()
    correlation = motion.autocorrelation(v, 50)
    expected = np.cos(2 * np.pi * 1600.0 / motion.PER_CM * step * np.arange(50))
    np.testing.assert_allclose(correlation, expected, atol=0.01)
    assert pytest.approx(33.35641) == motion.PER_CM


@pytest.mark.parametrize(("step_fs", "found"), [(4.0, True), (40.0, False)])
def test_spectrum_is_none_of_frames_too_far_apart(step_fs, found):
    """Of bands up to 3600 1/cm; every 40 fs shows 417."""
    rng = np.random.default_rng(6)
    step, n = 1e-3 * step_fs, 2000
    bands = np.concatenate([c + 80.0 * rng.normal(size=30) for c in (300.0, 1650.0, 3300.0)])
    phases = 2 * np.pi * np.outer(step * np.arange(n), bands / motion.PER_CM)
    moves = np.cos(phases + rng.uniform(0, 6, 90)) @ rng.normal(size=(90, 6))
    moves = moves.reshape(n, 2, 3)
    frames = [Atoms("OH") for _ in range(n)]
    for atoms, velocities in zip(frames, moves, strict=True):
        atoms.arrays["velocities"] = velocities
    trajectory = Frames(step * np.arange(n), [frames])
    curves = motion.curves(SimpleNamespace(beads=1, frames=lambda *kinds: trajectory))
    assert [c.group for c in curves] == ["vibrations"] * found + ["autocorrelation"]


@pytest.mark.parametrize("n", [24, 25])
def test_spectrum_is_that_of_scipy(n):
    """Of what is no vibration: noise, of an even and of an odd number of frames."""
    noise = np.random.default_rng(6).normal(size=(n, 6))
    _, expected = periodogram(noise, window="hann", axis=0, detrend=False)
    found = motion.density_of_states(noise, 1.0)
    total = expected.sum()
    assert found / found.sum() == pytest.approx(expected.sum(axis=1) / total)
    _, other = periodogram(noise, window="boxcar", axis=0, detrend=False)
    assert found / found.sum() != pytest.approx(other.sum(axis=1) / other.sum(), rel=0.1)


def test_diffusion_of_a_random_walk():
    """Whatever the length of the run, and however the atoms rattle in between."""
    rng = np.random.default_rng(4)
    coefficient, step = 0.25, 0.1  # Å²/ps, ps
    atoms = Atoms("Ne300", rng.uniform(0, 11.0, (300, 3)), cell=[11.0] * 3, pbc=True)
    walk = np.cumsum(rng.normal(scale=np.sqrt(2 * coefficient * step), size=(800, 300, 3)), axis=0)
    phases = rng.uniform(0, 2 * np.pi, (300, 3))
    rattle = 0.5 * np.sin(np.arange(800)[:, None, None] * 2.1 + phases)

    def diffusion(displacements):
        frames = [Atoms(atoms.numbers, atoms.positions + d, cell=atoms.cell) for d in displacements]
        trajectory = Frames(step * np.arange(len(frames)), [frames])
        return motion._diffusion(trajectory, np.ones(300, bool), "Ne")

    for displacements in (walk, walk[:80], walk + rattle, (walk + rattle)[:80]):
        found = diffusion(displacements)
        assert abs(found.value - coefficient) < 4.0 * found.error < 0.25 * coefficient
    bound = diffusion(rattle)  # the twin: bound to its place
    assert bound.value < 0.05 * coefficient


@pytest.mark.parametrize("picoseconds", [3.0, 5.0])
def test_diffusion_is_none_in_short_runs(picoseconds):
    rng = np.random.default_rng(5)
    steps, step = round(picoseconds / 0.05), 0.05
    walk = np.cumsum(rng.normal(scale=0.1, size=(steps, 60, 3)), axis=0) + 9.0 * rng.random((60, 3))
    bead = [Atoms("H40O20", w, cell=[9.0] * 3, pbc=True) for w in walk]
    frames = Frames(step * np.arange(steps), [bead])
    found = motion.scalars(SimpleNamespace(beads=1, frames=lambda *kinds: frames))
    assert [s.name for s in found] == ["diffusion(H)", "diffusion(O)"] * (picoseconds > 4.0)
    assert all(s.value > 0.0 and s.error > 0.0 for s in found)
