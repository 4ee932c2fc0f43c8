"""Conservative forces and virial against differences of the energy; smoothness of all forces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..base import Role
from ..statistics import rms
from .probe import TINY_STEP, Probe

__all__ = ["Derivative", "Jump", "force_error", "jumps", "virial_error"]

FIFTH_DERIVATIVE = 1e5  # eV/Å⁵ along a random direction in a box of water: what limits the step
LONGEST_STEP, SHORTEST_STEP = 0.015, 5e-4  # Å
SMALL_JUMP = 1.0  # meV/Å: nothing beside any gap
STENCIL = (-2, -1, 1, 2)


@dataclass(frozen=True)
class Derivative:
    """Forces in meV/Å, virials in meV/atom, RMS per component.

    Attributes:
        deviation: from finite differences of the energy.
        rounding: what rounding of the energy makes of the differences.
        size: of the quantity itself.
        agrees: whether the deviation is rounding, or below a thousandth of the size.
    """

    deviation: float
    rounding: float
    size: float
    agrees: bool


@dataclass(frozen=True)
class Jump:
    """The largest jump of a force as all distances change a little, and how large noise gets.

    Attributes:
        smooth: whether it is noise, or too small to matter.
    """

    largest_meV_per_A: float
    noise_meV_per_A: float
    smooth: bool


def force_error(probe: Probe, directions: int = 8, seed: int = 0) -> Derivative:
    """Compare ``F·d`` with the energy's differences along random directions ``d``."""
    rng = np.random.default_rng(seed)
    forces = probe.results()[Role.CONSERVATIVE].forces
    noise = energy_noise(probe)
    step = _step(noise)
    norm = np.sqrt(forces.size)
    deviations = []
    for _ in range(directions):
        d = rng.normal(size=probe.shape)
        energies = [probe.energy(probe.moved(s * step * d)) for s in STENCIL]
        deviations.append((_slope(energies, step) + (forces * d).sum()) / norm)
    return _derivative(deviations, noise / step / norm, forces)


def virial_error(probe: Probe) -> Derivative:
    """Compare the conservative virial with the energy's differences under symmetric strains."""
    n = probe.shape[0]
    virial = probe.results()[Role.CONSERVATIVE].virial
    noise = energy_noise(probe)
    step = 0.5 * _step(noise)
    deviations = []
    for a, b in zip(*np.triu_indices(3), strict=True):
        strain = np.zeros((3, 3))
        strain[a, b] += 0.5
        strain[b, a] += 0.5
        energies = [probe.energy(probe.strained(s * step * strain)) for s in STENCIL]
        deviations.append(_slope(energies, step) + virial[a, b])
    return _derivative(np.array(deviations) / n, noise / step / n, virial / n)


def jumps(probe: Probe, points: int = 60, span: float = 0.01) -> dict[Role, Jump]:
    """Scale all distances by ``1 ± span`` in small steps and look for forces that jump.

    Some pairs then cross whatever cutoff there is. In fourth differences a smooth force vanishes
    and a jump stays, three times its size.
    """
    line = np.linspace(-span, span, points)
    scans = [probe.served(probe.strained(s * np.eye(3))) for s in line]
    result = {}
    for role in probe.roles:
        rest = np.abs(np.diff([scan[role] for scan in scans], n=4, axis=0)) / 3.0
        noise = 1e3 * float(np.median(rest, axis=0).max()) / 0.6745  # of the noisiest component
        largest = 1e3 * float(rest.max())
        result[role] = Jump(largest, noise, largest < max(10.0 * noise, SMALL_JUMP))
    return result


def energy_noise(probe: Probe) -> float:
    """Rounding error of the energy, eV: its scatter around a parabola 8e-6 Å long.

    Along so little, an energy of single precision far from zero may not move at all; then it is
    the distance of such numbers.
    """
    direction = np.random.default_rng(0).normal(size=probe.shape)
    x = np.arange(8.0)
    y = np.array([probe.energy(probe.moved(TINY_STEP * k * direction)) for k in x])
    rest = y - np.polyval(np.polyfit(x, y, 2), x)
    scatter = rms(rest) * float(np.sqrt(8 / 5))
    single = y.astype(np.float32)
    is_single = bool((single == y).all())
    return max(scatter, is_single * float(np.spacing(np.abs(single)).max()) / np.sqrt(12.0))


def _step(noise: float) -> float:
    """Å; where rounding and curvature weigh alike in a difference of fourth order."""
    return float(np.clip((noise / FIFTH_DERIVATIVE) ** 0.2, SHORTEST_STEP, LONGEST_STEP))


def _slope(energies: Sequence[float], step: float) -> float:
    """Derivative at 0, of fourth order, from energies at ``STENCIL`` steps from it."""
    low2, low, high, high2 = energies
    return (low2 - 8.0 * low + 8.0 * high - high2) / (12.0 * step)


def _derivative(
    deviations: Sequence[float] | NDArray[np.float64], rounding: float, value: ArrayLike
) -> Derivative:
    deviation, size = rms(deviations), rms(value)
    agrees = deviation < max(5.0 * rounding, 1e-3 * size)
    return Derivative(1e3 * deviation, 1e3 * float(rounding), 1e3 * size, bool(agrees))
