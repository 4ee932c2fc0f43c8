"""A model with a known minimum, whose direct forces have theirs elsewhere.

Each atom is held by a spring of its own at ``(2 i, 0, 0)`` Å; the direct forces hold every other
atom ``OFFSET`` to either side of that. Named as ``python:wells:wells``. With ``?curl=0.1`` (eV/Å²)
the direct forces drive each atom about its well's axis, which is the gradient of nothing.
"""

from __future__ import annotations

import numpy as np

from halfkick.models.base import Capabilities, ForceModel, ForceResult, Role

STIFFNESS = 4.0  # eV/Å²
OFFSET = 0.05  # Å


class Wells(ForceModel):
    name = "wells"
    capabilities = Capabilities(frozenset(Role))

    def __init__(self, curl=0.0):
        self.curl = curl

    def evaluate(self, structures, roles):
        return [{role: one(s.positions, role, self.curl) for role in roles} for s in structures]


def one(positions, role, curl=0.0):
    index = np.arange(len(positions))
    away = positions - np.outer(2.0 * index, [1.0, 0.0, 0.0])
    energy = 0.5 * STIFFNESS * float((away**2).sum())
    if role is Role.DIRECT:
        away = away - np.outer(OFFSET * (-1.0) ** index, [0.0, 1.0, 0.0])
    forces = -STIFFNESS * away
    if role is Role.DIRECT:
        forces += curl * np.cross([0.0, 0.0, 1.0], away)
    return ForceResult(energy, forces, np.zeros((3, 3)))


def wells(curl=0.0):
    return Wells(curl)
