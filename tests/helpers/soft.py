"""Soft repulsion between all atoms, in any cell: direct forces are nine tenths of the conservative.

``E = Σ_pairs A (1 − r²/c²)²`` within the cutoff c; any species. Named as ``python:soft:soft``.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from halfkick.models.base import Capabilities, ForceModel, ForceResult, Role

AMPLITUDE = 1.0  # eV
CUTOFF = 1.6  # Å
SHARE = 0.9


class Soft(ForceModel):
    name = "soft"

    def __init__(self, roles=frozenset(Role)):
        self.capabilities = Capabilities(roles, roles, None, CUTOFF)

    def evaluate(self, structures, roles):
        return [{role: one(s, role) for role in roles} for s in structures]


def one(s, role):
    atoms = Atoms(s.numbers, s.positions, cell=s.cell, pbc=s.pbc)
    i, _, d = neighbor_list("ijD", atoms, CUTOFF)
    x = 1.0 - (d**2).sum(axis=1) / CUTOFF**2
    pair_forces = -4.0 * AMPLITUDE * x[:, None] * d / CUTOFF**2  # on i; d leads from i to j
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, i, pair_forces)
    share = SHARE if role is Role.DIRECT else 1.0
    return ForceResult(
        0.5 * AMPLITUDE * float((x**2).sum()),
        share * forces,
        -0.5 * share * d.T @ pair_forces,
    )


def soft():
    return Soft()


def inner():
    """Direct forces alone."""
    return Soft(frozenset({Role.DIRECT}))


def outer():
    """Conservative forces alone."""
    return Soft(frozenset({Role.CONSERVATIVE}))
