"""Form of a single result, and refusals."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from ..base import ForceResult, Role, Structure
from ..errors import ModelError
from .case import Case, ContractError, displaced

__all__ = [
    "check_capabilities",
    "check_form",
    "check_needs_virial",
    "check_nothing_is_overwritten",
    "check_refusals",
]

MAX_ASYMMETRY = 1e-12
"""Of a virial, relative to its largest number."""


def check_capabilities(case: Case) -> None:
    """Check that there are roles, that those with stress are among them, and an empty batch."""
    capabilities = case.model.capabilities
    if not capabilities.roles or not capabilities.roles <= frozenset(Role):
        case.fail("capabilities.roles to be some of Role", sorted(capabilities.roles) or "none")
    if not capabilities.stress <= capabilities.roles:
        case.fail("capabilities.stress to be some of the roles", sorted(capabilities.stress))
    empty = case.model.evaluate([], capabilities.roles)
    if empty != []:
        case.fail("no results for no structures", empty)


def check_form(case: Case) -> None:
    """Check which results there are, their shapes and types, and that they are finite."""
    for (name, structure), roles in product(case.named(), case.role_sets):
        results = case.evaluate(structure, roles)
        if set(results) != set(roles):
            case.fail(f"results for {', '.join(sorted(roles))} of {name}", sorted(results))
        for role, result in results.items():
            of = f"of {name}"
            _check_array(case, f"{role} forces {of}", result.forces, (len(structure.numbers), 3))
            _check_array(case, f"{role} virial {of}", result.virial, (3, 3))
            if not np.isfinite(result.energy):
                case.fail(f"a finite {role} energy {of}", result.energy)
            _check_conventions(case, of, role, result)


def _check_array(case: Case, what: str, array: object, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.float64:
        case.fail(f"{what} as a float64 array", getattr(array, "dtype", type(array).__name__))
    if array.shape != shape:
        case.fail(f"{what} of shape {shape}", array.shape)
    if not np.isfinite(array).all():
        case.fail(f"finite {what}", "NaN or infinity")


def _check_conventions(case: Case, of: str, role: Role, result: ForceResult) -> None:
    asymmetry = np.abs(result.virial - result.virial.T).max()
    if asymmetry > MAX_ASYMMETRY * max(1.0, np.abs(result.virial).max()):
        case.fail(f"a symmetric {role} virial {of}", f"an antisymmetric part of {asymmetry:.1e} eV")
    if role is Role.DIRECT and result.energy != 0.0:
        case.fail(f"energy 0 with direct forces {of}, which have none", result.energy)
    if role not in case.model.capabilities.stress and result.virial.any():
        case.fail(f"virial 0 {of}, since {role} is not in capabilities.stress", "another one")


def check_nothing_is_overwritten(case: Case) -> None:
    """Check that inputs stay as they are, and results of one pass also after the next one."""
    for name, structure in case.named():
        inputs = (structure.numbers, structure.positions, structure.cell, structure.pbc)
        copies = [array.copy() for array in inputs]
        results = case.evaluate(structure)
        if not all(map(np.array_equal, inputs, copies)):
            case.fail(f"{name} to be left as it is", "other numbers in it after a pass")
        outputs = [array for r in results.values() for array in (r.forces, r.virial)]
        copies = [array.copy() for array in outputs]
        case.evaluate(displaced(case, structure))
        if not all(map(np.array_equal, outputs, copies)):
            case.fail(f"results of {name} to stay", "other numbers in them after the next pass")


def check_needs_virial(case: Case) -> None:
    """Check that forces are the same where no virial is needed, which is zero or right then."""
    model, before = case.model, case.model.needs_virial
    what = "with and without needs_virial"
    try:
        for (_, structure), roles in product(case.named(), case.role_sets):
            model.needs_virial = True
            expected = case.evaluate(structure, roles)
            model.needs_virial = False
            results = case.evaluate(structure, roles)
            case.compare(what, results, expected, ("energy", "forces"))
            for role, result in results.items():
                if result.virial.any():
                    case.compare(what, {role: result}, expected, ("virial",))
    finally:
        model.needs_virial = before


def check_refusals(case: Case) -> None:
    """Check that a role or a species which is not offered raises ModelError."""
    capabilities, structure = case.model.capabilities, case.structures[0]
    for role in frozenset(Role) - capabilities.roles:
        _check_refused(case, f"ModelError for {role} forces", structure, frozenset({role}))
    if capabilities.species is None:
        return
    unknown = next(z for z in range(1, 200) if z not in capabilities.species)
    numbers = structure.numbers.copy()
    numbers[-1] = unknown
    for roles in case.role_sets:
        what = f"ModelError for atomic number {unknown}, which is not in capabilities.species"
        _check_refused(case, what, replace(structure, numbers=numbers), roles)


def _check_refused(case: Case, what: str, structure: Structure, roles: frozenset[Role]) -> None:
    try:
        case.model.evaluate([structure], roles)
    except ModelError:
        return
    except Exception as error:
        raise ContractError(
            f"expected {what}, got {type(error).__name__}: {error} (model '{case.model.name}')"
        ) from error
    case.fail(what, "results")
