"""Structures as ASE's atoms, and the results of a batch that a model gives as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ..base import ForceResult, Structure
from ..errors import ModelError
from .engine import cut, symmetric
from .wrap import near_origin

__all__ = ["check_periodicity", "results", "to_atoms"]


def to_atoms(structure: Structure, told: bool = False) -> Atoms:
    """ASE's atoms, near the origin: a model in single precision loses digits far from it.

    Args:
        structure: to be evaluated.
        told: whether to say charge and multiplicity in ``info``.
    """
    said = structure.inputs
    return Atoms(
        structure.numbers,
        near_origin(structure),
        cell=structure.cell,
        pbc=structure.pbc,
        info={"charge": round(said.charge or 0), "spin": said.spin or 1} if told else {},
    )


def check_periodicity(name: str, structure: Structure) -> None:
    """Raise ModelError if some directions are periodic and others are not."""
    pbc = structure.pbc
    if pbc.any() and not pbc.all():
        raise ModelError(
            f"expected a structure periodic in all directions or none for '{name}', got "
            f"pbc {' '.join('FT'[int(p)] for p in pbc)}, which it cannot compute; make a slab "
            f"periodic with a vacuum, or take another model"
        )


def results(
    structures: Sequence[Structure],
    energies: NDArray[np.float64] | None,
    forces: NDArray[np.float64],
    stresses: NDArray[np.float64] | None,
) -> Iterator[ForceResult]:
    """Cut what a model gives for a batch into results.

    Args:
        structures: those of the batch.
        energies: shape (B,), eV; ``None`` with direct forces.
        forces: shape (ΣN, 3), eV/Å.
        stresses: as ASE's, shape (B, 3, 3), eV/Å³; they count where all directions are periodic.
    """
    for index, (structure, of_one) in enumerate(
        zip(structures, cut(forces, structures), strict=True)
    ):
        virial = np.zeros((3, 3))
        if stresses is not None and structure.pbc.all():
            virial = -abs(np.linalg.det(structure.cell)) * symmetric(stresses[index])
        energy = 0.0 if energies is None else float(energies[index])
        yield ForceResult(energy, of_one.copy(), virial)
