"""Finite differences of a model's energy: what its forces and virial must be equal to."""

from dataclasses import replace

import numpy as np

from halfkick.models.base import Role, Structure

BOTH = frozenset(Role)
DIRECT = frozenset({Role.DIRECT})
CONSERVATIVE = frozenset({Role.CONSERVATIVE})


def structure_of(atoms, slot=None):
    return Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, slot)


def evaluate(model, structure, role):
    (results,) = model.evaluate([structure], frozenset({role}))
    return results[role]


def energy(model, structure):
    return evaluate(model, structure, Role.CONSERVATIVE).energy


def strained(structure, strain):
    deformation = np.eye(3) + strain
    return replace(
        structure,
        positions=structure.positions @ deformation,
        cell=structure.cell @ deformation,
    )


def virial(model, structure, step):
    """``-dE/dε``, shape (3, 3), for symmetric strains."""
    result = np.zeros((3, 3))
    for a in range(3):
        for b in range(a, 3):
            strain = np.zeros((3, 3))
            strain[a, b] += 0.5 * step
            strain[b, a] += 0.5 * step
            up, down = (energy(model, strained(structure, sign * strain)) for sign in (1, -1))
            result[a, b] = result[b, a] = -(up - down) / (2 * step)
    return result


def forces(model, structure, indices, step):
    """``-dE/dx`` of some atoms, shape (len(indices), 3)."""
    result = np.zeros((len(indices), 3))
    for row, atom in enumerate(indices):
        for axis in range(3):
            energies = []
            for sign in (1, -1):
                positions = structure.positions.copy()
                positions[atom, axis] += sign * step
                energies.append(energy(model, replace(structure, positions=positions)))
            result[row, axis] = -(energies[0] - energies[1]) / (2 * step)
    return result


def check(model, structure, *, step=1e-4, tolerance=1e-6, indices=(0, 1, 5)):
    """Conservative forces and virial against differences; the wrong signs must not pass."""
    result = evaluate(model, structure, Role.CONSERVATIVE)
    pairs = [
        (result.forces[list(indices)], forces(model, structure, indices, step)),
        (result.virial, virial(model, structure, step)),
    ]
    for given, expected in pairs:
        np.testing.assert_allclose(given, expected, atol=tolerance)
        assert not np.allclose(-given, expected, atol=10 * tolerance)
    assert abs(result.virial - result.virial.T).max() < 1e-12
