"""Puts a structure into a cell as i-PI needs it: three vectors, right-handed, upper triangular.

i-PI's cell has the vectors as columns, so that here, where they are rows, it is lower triangular:
the first along x, the second in the xy plane. i-PI rotates by itself what is periodic in three
directions and nothing else.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ...models.errors import DataError
from ...models.frames import inputs_of, tell

__all__ = ["VACUUM", "into_ipi_form"]

VACUUM = 10.0  # Å, on each side of what has no cell in a direction
FLAT = 1e-6  # of a cell vector's length: less is no volume
ROUNDING = 1e-6  # Å: cells are written with about as many digits


def into_ipi_form(atoms: Atoms) -> tuple[Atoms, list[str]]:
    """The same structure in a cell that i-PI reads, and what was done to it.

    Distances, periodic directions and the order of atoms stay. Constraints, and whatever else a
    file may hold besides species and positions, do not.

    Raises:
        DataError: if the cell has no volume.
    """
    pbc = atoms.pbc.copy()
    cell, missing, notes = _completed(atoms)
    if np.linalg.det(cell) < 0.0:
        if missing:
            cell[missing[-1]] *= -1.0
        else:  # of three directions two are alike
            first, second = next((i, j) for i, j in ((0, 1), (1, 2), (0, 2)) if pbc[i] == pbc[j])
            cell[[first, second]] = cell[[second, first]]
            notes.append(f"left-handed cell: vectors {first + 1} and {second + 1} change places")
    upright, rotation = _rotated(cell)
    positions = atoms.positions
    if np.allclose(upright, cell, atol=ROUNDING):
        upright = np.tril(cell)
    else:
        positions = positions @ rotation
        notes.append(
            "rotated: i-PI wants the first cell vector along x, the second in the xy plane"
        )
    made = Atoms(atoms.numbers, positions, cell=upright, pbc=pbc)
    return tell(made, inputs_of(atoms)), notes


def _rotated(cell: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A right-handed cell as a lower triangle with a positive diagonal, and what turns rows so."""
    orthogonal, triangle = np.linalg.qr(cell.T)  # cell = triangleᵀ orthogonalᵀ
    signs = np.sign(np.diag(triangle))
    return np.tril((signs[:, None] * triangle).T), orthogonal * signs


def _completed(
    atoms: Atoms,
) -> tuple[NDArray[np.float64], list[int], list[str]]:
    """Three cell vectors as rows, Å, which of them the file lacks, and what was made of these.

    Those hold the atoms and vacuum.
    """
    cell = atoms.cell.array.copy()
    missing = np.flatnonzero(np.linalg.norm(cell, axis=1) < FLAT).tolist()
    if atoms.pbc[missing].any():
        missing = []
    volume = abs(np.linalg.det(atoms.cell.complete().array if missing else cell))
    if volume < FLAT * max(float(np.linalg.norm(cell)), 1.0):
        raise DataError(
            f"expected a cell with a volume, got vectors {cell.round(3).tolist()} with pbc "
            f"{' '.join('FT'[int(p)] for p in atoms.pbc)}; mend the cell in the structure's file"
        )
    if not missing:
        return cell, [], []
    cell = atoms.cell.complete().array.copy()
    for axis in missing:
        normal = cell[axis] / np.linalg.norm(cell[axis])
        cell[axis] = (float(np.ptp(atoms.positions @ normal)) + 2.0 * VACUUM) * normal
    sides = " x ".join(f"{np.linalg.norm(cell[axis]):.1f}" for axis in missing)
    if len(missing) == 3:
        return cell, missing, [f"the file has no cell: in a box of {sides} Å for i-PI"]
    axes = " and ".join(str(axis + 1) for axis in missing)
    return cell, missing, [f"no cell vector {axes}: {sides} Å there for i-PI, vacuum included"]
