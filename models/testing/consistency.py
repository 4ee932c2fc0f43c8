"""Invariance of results: batches, other roles, slots, the order and images of atoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..base import Role, Structure
from .case import Case, displaced, shifted, strained

__all__ = [
    "check_batch",
    "check_lattice",
    "check_parts",
    "check_permutation",
    "check_roles_together",
    "check_slots",
]

WALK = ("displace", "displace", "strain", "displace", "shift", "displace", "displace")
"""What happens to a structure between two evaluations in its slot."""

STRAIN = np.diag([0.02, -0.01, 0.01])


def check_batch(case: Case) -> None:
    """Check that a batch, in either order, gives what one by one gives."""
    structures = [*case.structures, *(displaced(case, s) for s in case.structures)]
    for roles in case.role_sets:
        expected = [case.evaluate(structure, roles) for structure in structures]
        for order in (1, -1):
            batch = case.model.evaluate(structures[::order], roles)
            if len(batch) != len(structures):
                case.fail(f"{len(structures)} results for as many structures", len(batch))
            for results, alone in zip(batch, expected[::order], strict=True):
                case.compare("in a batch and one by one", results, alone)


def check_roles_together(case: Case) -> None:
    """Check that all roles in one pass give what each gives alone."""
    for structure in case.structures:
        together = case.evaluate(structure)
        for role in together:
            alone = case.evaluate(structure, frozenset({role}))
            case.compare("in one pass for all roles and alone", alone, together)


def check_parts(case: Case) -> None:
    """Check that parts are for all structures, direct results first, and the last complete."""
    for roles in case.role_sets:
        expected = case.model.evaluate(case.structures, roles)
        part = None
        for part in case.model.evaluate_in_parts(case.structures, roles):
            if len(part) != len(case.structures):
                case.fail("each list of evaluate_in_parts to be for all structures", len(part))
            for results, complete in zip(part, expected, strict=True):
                if Role.CONSERVATIVE in results and set(results) != roles:
                    case.fail(
                        "direct results before conservative ones from evaluate_in_parts",
                        "conservative ones alone",
                    )
                case.compare("in parts and at once", results, complete)
        if part is None or any(set(results) != roles for results in part):
            case.fail("the last list of evaluate_in_parts to be complete", part or "none")


def check_slots(case: Case) -> None:
    """Walk each structure in a slot of its own, in turns, and compare with no slot."""
    walkers = list(case.structures)
    for step, change in enumerate((*WALK, "")):
        roles = case.role_sets[step % len(case.role_sets)]
        for index, structure in enumerate(walkers):
            kept = replace(structure, slot=("check_force_model", index))
            case.compare(
                f"in step {step} of a walk with and without a slot",
                case.evaluate(kept, roles),
                case.evaluate(structure, roles),
            )
        walkers = [_changed(case, structure, change) for structure in walkers]


def _changed(case: Case, structure: Structure, change: str) -> Structure:
    if change == "strain" and structure.pbc.all():
        return strained(structure, STRAIN)
    if change == "shift" and structure.pbc.any():
        return shifted(structure, 0)
    return displaced(case, structure)


def check_permutation(case: Case) -> None:
    """Check that atoms in another order have the same forces."""
    for structure in case.structures:
        order = case.rng.permutation(len(structure.numbers))
        permuted = replace(
            structure, numbers=structure.numbers[order], positions=structure.positions[order]
        )
        expected = {
            role: replace(result, forces=result.forces[order])
            for role, result in case.evaluate(structure).items()
        }
        case.compare("of atoms in another order", case.evaluate(permuted), expected)


def check_lattice(case: Case) -> None:
    """Check that an atom, or all, moved by a lattice vector have the same forces."""
    for structure in case.structures:
        if structure.pbc.any():
            expected = case.evaluate(structure)
            for atoms in (len(structure.numbers) - 1, slice(None)):
                moved = case.evaluate(shifted(structure, atoms))
                case.compare("before and after a move by a lattice vector", moved, expected)
