"""A finite step shares kinetic energy out unequally: foreseen, and found by velocity Verlet."""

from __future__ import annotations

import numpy as np
import pytest
import toy
from ase import Atoms, units

from halfkick.driver.study.validation.equipartition import species_temperatures
from halfkick.models.base import Role, Structure

STEP_FS = 3.0
START_K = 300.0


def forces_of(atoms: Atoms) -> np.ndarray:
    structure = Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, "verlet")
    (results,) = toy.toy().evaluate([structure], frozenset({Role.CONSERVATIVE}))
    return results[Role.CONSERVATIVE].forces


def verlet(atoms: Atoms, steps: int, skip: int):
    """Frames and their forces at constant energy, and temperatures of H and O after each step."""
    rng = np.random.default_rng(1)
    masses = atoms.get_masses()[:, None]
    velocities = np.sqrt(units.kB * START_K / masses) * rng.normal(size=(len(atoms), 3))
    velocities -= (masses * velocities).sum(axis=0) / masses.sum()
    step, forces = STEP_FS * units.fs, forces_of(atoms)
    frames, found, temperatures = [], [], []
    for index in range(skip + steps):
        velocities += 0.5 * step * forces / masses
        atoms.positions += step * velocities
        forces = forces_of(atoms)
        velocities += 0.5 * step * forces / masses
        if index >= skip:
            temperatures.append([kelvin(atoms, velocities, s) for s in ("H", "O")])
            if index % 20 == 0:
                frames.append(atoms.copy())
                found.append(forces)
    return frames, found, np.array(temperatures)


def kelvin(atoms: Atoms, velocities: np.ndarray, symbol: str) -> float:
    chosen = atoms.symbols == symbol
    masses = atoms.get_masses()
    free = 3.0 * chosen.sum() - 3.0 * masses[chosen].sum() / masses.sum()
    return float((masses[chosen, None] * velocities[chosen] ** 2).sum() / (free * units.kB))


def test_equipartition_predicts_how_much_colder_light_atoms_are():
    atoms = toy.atoms(side=4, spacing=1.7)
    frames, forces, temperatures = verlet(atoms, steps=4800, skip=1000)
    weights = np.array([(atoms.symbols == s).sum() for s in ("H", "O")]) / len(atoms)
    mean = temperatures.mean(axis=0)
    target = species_temperatures(frames, forces, STEP_FS, float(weights @ mean))
    blocks = np.diff(temperatures.reshape(16, -1, 2).mean(axis=1))[:, 0]
    error = blocks.std(ddof=1) / 4.0
    found, foreseen = float(mean[1] - mean[0]), target["O"] - target["H"]
    assert abs(found - foreseen) < 4.0 * error
    assert found > 3.0 * error  # the twin: they are not equal
    assert foreseen > 0.06 * mean.mean()


def test_equipartition_without_a_step_is_even():
    atoms = toy.atoms()
    found = species_temperatures([atoms], [forces_of(atoms)], 0.0, 300.0)
    assert found == pytest.approx({"H": 300.0, "O": 300.0})
