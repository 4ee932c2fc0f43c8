"""Molecules, found by their bonds, and how the kinetic energy divides among their motions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["bonded_groups", "bonded_pairs", "find_molecules", "split_kinetic", "stays_molecules"]

MAX_MOLECULE_ATOMS = 60  # what is larger is a network, not a molecule
MAX_BOND_STRETCH = 1.2  # of the sum of covalent radii
BROKEN_BOND_STRETCH = 1.5  # beyond which a bond is no more


def bonded_pairs(atoms: Atoms, stretch: float = MAX_BOND_STRETCH) -> NDArray[np.int_]:
    """Indices of two atoms nearer than a multiple of their covalent radii, shape (bonds, 2).

    Each bond once; twice and more where it goes to several images.
    """
    from ase.neighborlist import natural_cutoffs, neighbor_list

    i, j = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=stretch))
    return np.stack([i, j], axis=1)[i <= j]


def bonded_groups(atoms: Atoms, stretch: float = MAX_BOND_STRETCH) -> NDArray[np.int_]:
    """The number of the group that each atom is bonded in, shape (N,)."""
    i, j = bonded_pairs(atoms, stretch).T
    n = len(atoms)
    _, groups = connected_components(coo_matrix((np.ones(len(i)), (i, j)), shape=(n, n)), False)
    return np.asarray(groups)


def find_molecules(atoms: Atoms) -> list[NDArray[np.int_]]:
    """Atoms of each molecule, indices of shape (n,); none if there is a network or no bond.

    A network goes on from cell to cell: in a cell twice as large it is not twice as many groups.
    """
    groups = bonded_groups(atoms)
    count, sizes = int(groups.max()) + 1, np.bincount(groups)
    if not 1 < sizes.max() <= MAX_MOLECULE_ATOMS:
        return []
    more = [2 if periodic else 1 for periodic in atoms.pbc]
    if int(bonded_groups(atoms * more).max()) + 1 != count * np.prod(more):
        return []
    return [np.flatnonzero(groups == k) for k in range(count)]


def stays_molecules(atoms: Atoms, molecules: Sequence[NDArray[np.int_]]) -> bool:
    """Whether a later frame consists of the same molecules: none has broken, no two are bonded."""
    own = np.empty(len(atoms), int)
    for index, members in enumerate(molecules):
        own[members] = index
    groups, loose = bonded_groups(atoms), bonded_groups(atoms, BROKEN_BOND_STRETCH)
    joined = any(np.ptp(own[groups == k]) for k in range(int(groups.max()) + 1))
    return not joined and not any(np.ptp(loose[members]) for members in molecules)


def split_kinetic(
    atoms: Atoms,
    velocities: NDArray[np.float64],
    masses: NDArray[np.float64],
    molecules: Sequence[NDArray[np.int_]],
    *,
    centre_at_rest: bool = True,
) -> dict[str, tuple[float, float]]:
    """Divide the kinetic energy among the motions of molecules.

    ============================  =====================================
    V = Σ m v / Σ m               ``centre_velocity``
    L = Σ m x × (v − V)           ``momentum``
    I = Σ m (x² − x xᵀ)           ``inertia``
    Σm V² / 2, L I⁻¹ L / 2        ``translation``, ``rotation``
    ============================  =====================================

    Args:
        atoms: positions (molecules may be cut by the cell) and cell.
        velocities: v, shape (N, 3).
        masses: m, shape (N,).
        molecules: indices of each, shape (atoms,).
        centre_at_rest: whether the centre of mass of all is, and takes three from translation.

    Returns:
        Motion -> energy (in units of mass times velocity squared) and degrees of freedom.
    """
    from ase.geometry import find_mic

    total = np.zeros(3)
    free = np.array([3.0 * (len(molecules) - centre_at_rest), 0.0, 0.0])
    for chosen in molecules:
        m, v = masses[chosen, None], velocities[chosen]
        x, _ = find_mic(atoms.positions[chosen] - atoms.positions[chosen[0]], atoms.cell, atoms.pbc)
        x = x - (m * x).sum(axis=0) / m.sum()
        centre_velocity = (m * v).sum(axis=0) / m.sum()
        momentum = (m * np.cross(x, v - centre_velocity)).sum(axis=0)
        inertia = (m * x**2).sum() * np.eye(3) - (m * x).T @ x
        rank = 0 if len(chosen) == 1 else int(np.linalg.matrix_rank(inertia, tol=1e-6))
        rotation = 0.5 * momentum @ np.linalg.pinv(inertia, rcond=1e-9) @ momentum if rank else 0.0
        translation = 0.5 * float(m.sum()) * centre_velocity @ centre_velocity
        kinetic = 0.5 * float((m * v**2).sum())
        total += (translation, rotation, kinetic - translation - rotation)
        free += (0, rank, 3 * len(chosen) - 3 - rank)
    names = ("translation", "rotation", "vibration")
    return {n: (float(e), float(f)) for n, e, f in zip(names, total, free, strict=True)}
