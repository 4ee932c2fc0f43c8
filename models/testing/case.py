"""A model under test, and structures near those that it is tested with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from ..base import ForceModel, ForceResult, Role, Structure

__all__ = ["UNITS", "Array", "Case", "ContractError", "displaced", "shifted", "strained"]

Array = NDArray[np.float64]

UNITS = {"energy": "eV", "forces": "eV/Å", "virial": "eV"}

DISPLACEMENT = 0.1
"""Å, of each coordinate: a few of them leave a neighbour list behind."""


class ContractError(AssertionError):
    """A model does not keep what :class:`~halfkick.models.base.ForceModel` promises."""


@dataclass(frozen=True)
class Case:
    """A model under test.

    Attributes:
        model: the model.
        structures: what it is tested with, without slots.
        tolerance: of forces (eV/Å) and virial (eV) against differences of the energy.
        same: of two evaluations that should agree, eV and eV/Å, and relative for larger numbers.
        step: of the differences: Å for positions, a number for strains.
        atoms: how many atoms of each structure are displaced for the differences.
        rng: chooses displacements.
    """

    model: ForceModel
    structures: Sequence[Structure]
    tolerance: float
    same: float
    step: float
    atoms: int
    rng: np.random.Generator

    @property
    def role_sets(self) -> list[frozenset[Role]]:
        """Each role alone, and all together."""
        roles = self.model.capabilities.roles
        alone = [frozenset({role}) for role in sorted(roles)]
        return alone if len(alone) == 1 else [*alone, roles]

    def named(self) -> Iterator[tuple[str, Structure]]:
        """Each structure with what a message calls it."""
        return ((f"structure {index}", s) for index, s in enumerate(self.structures))

    def evaluate(
        self, structure: Structure, roles: frozenset[Role] | None = None
    ) -> Mapping[Role, ForceResult]:
        """Evaluate one structure, for all roles unless told."""
        roles = self.model.capabilities.roles if roles is None else roles
        (results,) = self.model.evaluate([structure], roles)
        return results

    def energy(self, structure: Structure) -> float:
        """The energy (eV) that belongs to the conservative forces."""
        results = self.evaluate(structure, frozenset({Role.CONSERVATIVE}))
        return results[Role.CONSERVATIVE].energy

    def compare(
        self,
        what: str,
        results: Mapping[Role, ForceResult],
        expected: Mapping[Role, ForceResult],
        quantities: Sequence[str] = tuple(UNITS),
    ) -> None:
        """Raise ContractError unless both are the same, for the roles of ``results``."""
        for role, result in results.items():
            for name in quantities:
                one = np.asarray(getattr(result, name))
                other = np.asarray(getattr(expected[role], name))
                if one.shape != other.shape:
                    self.fail(f"{role} {name} {what} of one shape", one.shape, other.shape)
                difference = np.abs(one - other).max(initial=0.0)
                if not difference <= self.same * max(1.0, np.abs(other).max(initial=0.0)):
                    self.fail(
                        f"{role} {name} {what} to be the same to {self.same:.0e} {UNITS[name]}",
                        f"a difference of {difference:.2e}",
                    )

    def fail(self, expected: str, *got: object) -> NoReturn:
        """Raise ContractError."""
        raise ContractError(
            f"expected {expected}, got {' and '.join(map(str, got))} (model '{self.model.name}')"
        )


def displaced(case: Case, structure: Structure) -> Structure:
    """The structure with all atoms displaced at random."""
    noise = case.rng.normal(scale=DISPLACEMENT, size=structure.positions.shape)
    return replace(structure, positions=structure.positions + noise)


def strained(structure: Structure, strain: Array) -> Structure:
    """The structure, cell and positions deformed by a strain of shape (3, 3)."""
    deformation = np.eye(3) + strain
    return replace(
        structure,
        positions=structure.positions @ deformation,
        cell=structure.cell @ deformation,
    )


def shifted(structure: Structure, atoms: int | slice) -> Structure:
    """The structure, some atoms moved by a lattice vector along each periodic direction."""
    positions = structure.positions.copy()
    positions[atoms] += structure.cell[structure.pbc].sum(axis=0)
    return replace(structure, positions=positions)
