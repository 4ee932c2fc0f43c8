"""Structures for models, and results for one structure and one role."""

from halfkick.models.base import Role
from halfkick.models.frames import structure_of

__all__ = ["BOTH", "CONSERVATIVE", "DIRECT", "energy", "evaluate", "structure_of"]

BOTH = frozenset(Role)
DIRECT = frozenset({Role.DIRECT})
CONSERVATIVE = frozenset({Role.CONSERVATIVE})


def evaluate(model, structure, role):
    (results,) = model.evaluate([structure], frozenset({role}))
    return results[role]


def energy(model, structure):
    return evaluate(model, structure, Role.CONSERVATIVE).energy
