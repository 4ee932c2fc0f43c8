"""Structures for models, and results for one structure and one role."""

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
