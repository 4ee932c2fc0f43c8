"""The dynamics of distillation samples what it should."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from toy import Toy, atoms

from halfkick.models.base import ForceResult, Role
from halfkick.models.distill.sample import ServedForce
from halfkick.models.dynamics.mts import MTSDynamics
from halfkick.models.dynamics.particles import thermal_velocities
from halfkick.models.dynamics.ring_polymer import RingPolymer
from halfkick.models.dynamics.units import HBAR_EV_FS

STIFFNESS = 40.0  # eV/Å², about that of an O-H bond, whose motion is quantum
MASS = 1.0
TEMPERATURE = 300.0


def spring(stiffness):
    def evaluate(positions):
        return [ForceResult(0.0, -stiffness * x, np.zeros((3, 3))) for x in positions]

    return evaluate


def spread(beads, stride=1, fast=STIFFNESS, relaxation_fs=20.0, steps=1200):
    """Mean square displacement of many oscillators, Å², from Langevin dynamics by impulses."""
    rng = np.random.default_rng(1)
    masses = np.full(1000, MASS)
    x = rng.normal(scale=0.05, size=(beads, 1000, 3))
    ring = RingPolymer(masses, x, thermal_velocities(masses, beads, TEMPERATURE, rng), TEMPERATURE)
    dynamics = MTSDynamics(
        ring, spring(fast), spring(STIFFNESS) if stride > 1 else None,
        timestep_fs=0.25, stride=stride, relaxation_fs=relaxation_fs,
    )  # fmt: skip
    squares = []
    for step in range(steps // stride):
        dynamics.step(rng)
        if step > steps // stride // 4:
            squares.append(np.mean(ring.positions**2))
    return float(np.mean(squares))


CLASSICAL = units.kB * TEMPERATURE / STIFFNESS
FREQUENCY = np.sqrt(STIFFNESS / MASS) * units.fs  # 1/fs
QUANTUM = (
    HBAR_EV_FS * FREQUENCY / (2 * STIFFNESS)
    / np.tanh(0.5 * HBAR_EV_FS * FREQUENCY / (units.kB * TEMPERATURE))
)  # fmt: skip


def test_dynamics_of_one_bead_is_classical():
    assert spread(1) == pytest.approx(CLASSICAL, rel=0.04)
    assert QUANTUM > 3 * CLASSICAL


def test_dynamics_of_beads_is_quantum():
    """P beads of an oscillator have a known spread, which grows to the quantum one."""
    beads = 8
    modes = 2 * beads * units.kB * TEMPERATURE / HBAR_EV_FS * np.sin(np.pi * np.arange(8) / 8)
    expected = np.mean(units.kB * TEMPERATURE * beads / (MASS * modes**2 / units.fs**2 + STIFFNESS))
    assert 2 * CLASSICAL < expected < QUANTUM
    assert spread(beads) == pytest.approx(expected, rel=0.04)


def test_dynamics_with_correction_makes_up_for_a_wrong_fast_force():
    """A fast force of two thirds gives the spread of the slow one; alone it gives its own."""
    assert spread(1, stride=2, fast=STIFFNESS / 1.5) == pytest.approx(CLASSICAL, rel=0.06)
    assert spread(1, fast=STIFFNESS / 1.5) == pytest.approx(1.5 * CLASSICAL, rel=0.06)


def energy_drift(slow):
    """Change of the toy's total energy in 0.2 ps under its direct forces, eV."""
    start = atoms()
    start.info["walker"] = 0
    model = Toy()
    fast, exact = (ServedForce(model, role) for role in (Role.DIRECT, Role.CONSERVATIVE))
    rng = np.random.default_rng(0)
    masses = start.get_masses()
    velocities = thermal_velocities(masses, 1, TEMPERATURE, rng)
    ring = RingPolymer(masses, start.positions[None], velocities, TEMPERATURE)
    dynamics = MTSDynamics(
        ring,
        lambda x: fast(start, x),
        (lambda x: exact(start, x)) if slow else None,
        timestep_fs=0.5,
        stride=4,
    )
    energies = []
    for _ in range(100):
        (result,) = exact(start, ring.positions)
        energies.append(result.energy + 1.5 * len(start) * units.kB * ring.temperature_K)
        dynamics.step(rng)
    return abs(energies[-1] - energies[0])


def test_dynamics_conserves_energy_with_the_correction_and_not_without():
    assert energy_drift(slow=True) < 0.02
    assert energy_drift(slow=False) > 0.2
