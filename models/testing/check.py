"""All parts of the contract, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..base import ForceModel, Structure
from . import consistency, results
from .case import Case, ContractError
from .derivatives import check_derivatives

__all__ = ["check_force_model"]

CHECKS: tuple[Callable[[Case], None], ...] = (
    results.check_capabilities,
    results.check_form,
    results.check_nothing_is_overwritten,
    check_derivatives,
    consistency.check_batch,
    consistency.check_roles_together,
    consistency.check_parts,
    consistency.check_slots,
    consistency.check_permutation,
    consistency.check_lattice,
    results.check_needs_virial,
    results.check_refusals,
)


def check_force_model(
    model: ForceModel,
    structures: Sequence[Structure],
    *,
    tolerance: float = 1e-5,
    same: float = 1e-9,
    step: float = 1e-4,
    atoms: int = 3,
    seed: int = 0,
) -> None:
    """Check that a model keeps the contract of :class:`~halfkick.models.base.ForceModel`.

    Checked are, in this order: capabilities; shapes, types and finite numbers; that inputs and
    earlier results stay as they are; forces and virial against differences of the energy; a batch
    against one by one; all roles in one pass against each alone; the order of results in parts;
    slots; a permutation of the atoms; translations by lattice vectors; ``needs_virial``; refusals.

    The defaults are for float64. For a model in float32 take about ``tolerance=2e-2, same=1e-4,
    step=1e-2``; where forces come out of an iteration, ``same`` is what it converges to.

    Args:
        model: to be checked. It is evaluated some 50 times for each structure.
        structures: without symmetry, so that forces and virial are not zero; best of different
            sizes, one with a small triclinic cell, and a molecule if the model is for such. Their
            slots are not used.
        tolerance: of forces (eV/Å) and virial (eV) against differences of the energy.
        same: of two evaluations that should agree, eV and eV/Å, and relative for larger numbers.
        step: of the differences: Å for positions, a number for strains.
        atoms: how many atoms of each structure are displaced for the differences.
        seed: of displacements and permutations.

    Raises:
        ContractError: at the first part of the contract that does not hold.
    """
    if not structures:
        raise ContractError("expected structures to check the model with, got none; give some")
    structures = [replace(structure, slot=None) for structure in structures]
    rng = np.random.default_rng(seed)
    case = Case(model, structures, tolerance, same, step, atoms, rng)
    for check in CHECKS:
        check(case)
