"""An analytic float64 model of both roles for whatever i-PI may ask.

Any species, any periodicity, one particle or many, wherever they are: its energy is a sum of
cosines in fractional coordinates, of each atom's position and of the difference of each atom to
the next one in the file::

    E = Σ_i Σ_a k_i L_a² / 4π² (1 - cos 2π s_ia),  s = r C⁻¹,  L_a = |C_a|

It does not see by which cell an atom was wrapped, costs O(N), is smooth and finite everywhere, and
changes when two atoms are exchanged. ``k`` depends on the species. Directions that are not periodic
have a cell vector of their own, 20 Å long, that no strain changes. It pulls at the origin of the
cell, so that nothing is conserved by symmetry: no momentum, no rotation.

The direct forces are the conservative ones times a factor that varies in space, plus a swirl about
the z axis.

Named in an input as ``python:anything:anything`` with ``tests/helpers`` in ``PYTHONPATH``;
``?scale=1.1`` makes another one that is so much stronger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase.geometry import complete_cell
from numpy.typing import NDArray

from halfkick.models.base import Capabilities, ForceModel, ForceResult, Role, Structure

STIFFNESS = 0.05  # eV/Å², of a position in its well
LINK = 0.5  # of the difference of two atoms, in those units
LENGTH = 20.0  # Å, of a well in a direction that is not periodic
UNEVENNESS = 0.2  # how much the factor on the conservative forces varies
SWIRL = 0.1  # of a force, turned about the z axis


class Anything(ForceModel):
    """Both heads of the model.

    Args:
        scale: of the stiffness.
    """

    name = "anything"
    capabilities = Capabilities(frozenset(Role), frozenset(Role))

    def __init__(self, scale: float = 1.0) -> None:
        self.stiffness = scale * STIFFNESS

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        return [{role: self._evaluate(s, role) for role in roles} for s in structures]

    def _evaluate(self, structure: Structure, role: Role) -> ForceResult:
        cell = _whole_cell(structure)
        lengths_2 = (cell**2).sum(axis=1)
        own = self.stiffness * (1.0 + 0.05 * (structure.numbers % 7))
        n = len(own)
        r = np.concatenate([structure.positions, np.diff(structure.positions, axis=0)])
        k = np.concatenate([own, LINK * np.sqrt(own[1:] * own[:-1])])[:, None]
        phase = 2.0 * np.pi * np.linalg.solve(cell.T, r.T).T  # 2π s, shape (2N - 1, 3)
        wells = k * (1.0 - np.cos(phase))
        energy = float((wells * lengths_2).sum()) / (4.0 * np.pi**2)
        pulls = -(k * np.sin(phase) * lengths_2) @ np.linalg.inv(cell).T / (2.0 * np.pi)
        virial = -np.einsum("a,ai,aj->ij", wells.sum(axis=0) * structure.pbc, cell, cell)
        virial /= 2.0 * np.pi**2
        outside = (phase * ~structure.pbc) @ cell / (2.0 * np.pi)  # what a strain changes of r
        tensor = outside.T @ pulls
        virial += 0.5 * (tensor + tensor.T)
        forces = pulls[:n].copy()
        forces[1:] += pulls[n:]
        forces[:-1] -= pulls[n:]
        if role is Role.CONSERVATIVE:
            return ForceResult(energy, forces, virial)
        factor = 1.0 + UNEVENNESS * np.cos(phase[:n].sum(axis=1, keepdims=True))
        return ForceResult(
            0.0, factor * forces + SWIRL * np.cross([0.0, 0.0, 1.0], forces), 0.9 * virial
        )


def _whole_cell(structure: Structure) -> NDArray[np.float64]:
    """The cell with vectors of ``LENGTH`` where it is not periodic, rows, shape (3, 3), Å."""
    pbc = structure.pbc
    if pbc.all():
        return structure.cell
    cell = complete_cell(np.where(pbc[:, None], structure.cell, 0.0))
    return np.where(pbc[:, None], cell, LENGTH * cell / np.linalg.norm(cell, axis=1)[:, None])


def anything(**options: float) -> Anything:
    """Make the model; the factory that ``python:anything:anything`` names."""
    return Anything(**options)
