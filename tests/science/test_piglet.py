"""The PIGLET scenarios' thermostat and steps on harmonic vibrations, whose energy is known."""

from __future__ import annotations

from importlib.resources import files
from xml.etree import ElementTree

import numpy as np
import pytest
from ase import units
from scipy.linalg import expm, solve_discrete_lyapunov

KT = 300.0 * units.kB / units.Hartree
FS = 1e-15 / units._aut
PER_CM = units.invcm / units.Hartree
SCENARIOS = ("water_piglet_mts", "water_piglet_mts_rpc")


def read(name):
    """Drift and covariance of shape (modes, n, n), M, inner step, in atomic units; splitting."""
    text = (files("halfkick.ipi_inputs") / name / "input.xml").read_text()
    dynamics = ElementTree.fromstring(text).find(".//dynamics")
    matrices = {}
    for key in "AC":
        element = dynamics.find(f"thermostat/{key}")
        shape = [int(x) for x in element.get("shape").strip("()").split(",")]
        matrices[key] = np.fromstring(element.text.strip().strip("[]"), sep=",").reshape(shape)
    stride = int(dynamics.findtext("nmts").strip(" []").split(",")[1])
    outer = float(dynamics.findtext("timestep")) * FS
    covariance = matrices["C"] * units.kB / units.Hartree
    return matrices["A"], covariance, stride, outer / stride, dynamics.get("splitting", "obabo")


def kinetic(omega, drift, covariance, stride, step, splitting):
    """Centroid-virial kinetic energy of a vibration, hartree, as the integrator leaves it.

    A step is linear, so that what is stationary under it follows from Lyapunov's equation: no
    run, no error.
    """
    beads, n = len(drift), len(drift[0]) + 1
    total = 0.5 * KT
    for k in range(1, beads):
        spring = 2.0 * beads * KT * np.sin(np.pi * k / beads)
        kick, move = np.eye(n), np.eye(n)
        kick[1, 0] = -0.5 * step * omega**2
        cosine, sine = np.cos(spring * step), np.sin(spring * step)
        move[:2, :2] = [[cosine, sine / spring], [-spring * sine, cosine]]
        inner = kick @ move @ kick
        half = splitting == "obabo"
        damp = np.eye(n)
        damp[1:, 1:] = expm(-drift[k] * stride * step * (0.5 if half else 1.0))
        noise = np.zeros((n, n))
        noise[1:, 1:] = covariance[k] - damp[1:, 1:] @ covariance[k] @ damp[1:, 1:].T
        if half:
            whole = damp @ np.linalg.matrix_power(inner, stride)
            found = solve_discrete_lyapunov(whole @ damp, whole @ noise @ whole.T + noise)
        else:
            part = np.linalg.matrix_power(inner, stride // 2)
            found = solve_discrete_lyapunov(part @ damp @ part, part @ noise @ part.T)
        total += 0.5 * omega**2 * found[0, 0] / beads
    return total


def quantum(omega):
    return 0.25 * omega / np.tanh(0.5 * omega / KT)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("wave_number", [300, 700, 1650, 3500])
def test_piglet_gives_the_quantum_kinetic_energy_of_vibrations(name, wave_number):
    """Within 2.5 %; the same with the thermostat at the ends of outer steps is the twin."""
    *matrices, stride, step, splitting = read(name)
    omega = wave_number * PER_CM
    found = kinetic(omega, *matrices, stride, step, splitting)
    assert found == pytest.approx(quantum(omega), rel=0.025)
    if wave_number == 3500:
        twin = kinetic(omega, *matrices, stride, step, "obabo")
        assert twin > 1.1 * quantum(omega)
        assert kinetic(omega, *matrices, 1, 0.1 * step, "obabo") == pytest.approx(
            quantum(omega), rel=2e-3
        )
