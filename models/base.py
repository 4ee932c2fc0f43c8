"""The interface every source of forces offers, and what goes in and out of it.

Units are eV, Å and amu. Cell vectors are rows. The virial is
``W = -dE/dε = -V σ`` (``ε`` the strain, ``σ`` ASE's stress): positive for a
system under pressure.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ModelError

__all__ = [
    "NO_INPUTS",
    "Capabilities",
    "ExpectedGap",
    "ForceModel",
    "ForceResult",
    "Inputs",
    "Role",
    "Structure",
    "all_finite",
    "without_mean_force",
]


class Role(str, Enum):
    """Which of a model's forces a force field serves."""

    DIRECT = "direct"
    CONSERVATIVE = "conservative"

    __hash__ = str.__hash__  # Enum's own is slow, and another one for equal strings

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, eq=False)
class Inputs:
    """What belongs to a structure besides species, positions and cell, as far as it is said.

    Attributes:
        charge: of all atoms together, e; ``None`` where nothing is said.
        spin: the multiplicity, 2S + 1; ``None`` where nothing is said.
        info: what else its file says of the structure, by the file's own names.
        arrays: of its atoms, shape (N, …): ``initial_charges`` in e, ``initial_magmoms`` in Bohr
            magnetons, ``tags``.
    """

    charge: float | None = None
    spin: int | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def key(self) -> Hashable:
        """Equal for inputs that say the same."""
        more = [sorted((k, np.asarray(v).tolist()) for k, v in of.items()) for of in self._mappings]
        return repr((self.charge, self.spin, more))

    @property
    def _mappings(self) -> tuple[Mapping[str, Any], ...]:
        return self.info, self.arrays


NO_INPUTS = Inputs()


@dataclass(frozen=True, eq=False)
class Structure:
    """One configuration to evaluate.

    Attributes:
        numbers: atomic numbers, shape (N,), int.
        positions: shape (N, 3), Å, float64.
        cell: cell vectors as rows, shape (3, 3), Å.
        pbc: periodic directions, shape (3,), bool.
        slot: names the place this structure comes from (force field, system, bead). Structures
            of one slot follow each other in time, so a model may keep a neighbour list for it.
            ``None`` keeps nothing.
        inputs: charge, spin and what else its file says; the same object for all structures of a
            force field.
    """

    numbers: NDArray[np.int_]
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    pbc: NDArray[np.bool_]
    slot: Hashable = None
    inputs: Inputs = NO_INPUTS

    @property
    def key(self) -> Hashable:
        """Cell and positions to the last bit."""
        known = self.__dict__.get("_key")  # cached_property is slow: it takes a lock
        if known is None:
            known = self.__dict__["_key"] = self.cell.tobytes() + self.positions.tobytes()
        return known


@dataclass(frozen=True, eq=False)
class ForceResult:
    """What one role gives for one structure.

    Attributes:
        energy: eV. Zero for direct forces, which have none.
        forces: shape (N, 3), eV/Å.
        virial: ``-dE/dε``, shape (3, 3), symmetric, eV. Zero where the role has no stress.
        outputs: what else the model was asked for, by name, in eV and Å; of conservative forces
            alone. Of n members, ``energy_ensemble`` has shape (n,), ``force_ensemble`` (n, N, 3),
            ``virial_ensemble`` (n, 3, 3). ``energy_uncertainty`` has shape (N,), or () if it is of
            all atoms together.
    """

    energy: float
    forces: NDArray[np.float64]
    virial: NDArray[np.float64]
    outputs: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


@cache
def _equal_weights(count: int) -> NDArray[np.float64]:
    return np.full(count, 1.0 / count)


def without_mean_force(forces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return forces, shape (…, N, 3), less their mean over atoms, so that no net force is left."""
    mean = _equal_weights(forces.shape[-2]) @ forces  # a hundred times quicker than mean(axis=-2)
    return forces - mean[..., None, :]


def all_finite(*arrays: NDArray[np.float64]) -> bool:
    """Whether there is no NaN or infinity, by a look at the largest and the smallest number."""
    ends = [end.reduce(array, None) for array in arrays for end in (np.maximum, np.minimum)]
    return all(map(isfinite, ends))


@dataclass(frozen=True)
class Capabilities:
    """What a model can do.

    Attributes:
        roles: the forces it offers.
        stress: the roles that come with a virial.
        species: atomic numbers it knows; ``None`` if any.
        cutoff: interaction range in Å, ``None`` if not known.
        inputs: what it computes with of :class:`Inputs`: ``charge``, ``spin``, names of arrays and
            of ``info``. A structure whose charge or spin it would not compute with is refused.
        charges: total charges that it computes without being told, where it is not told: one whose
            options name it, or those that a student was trained for.
        spins: likewise, multiplicities.
        outputs: what it gives beside conservative forces if asked, and in which unit: of eV, Å
            (``Angstrom``) and others.
    """

    roles: frozenset[Role]
    stress: frozenset[Role] = field(default_factory=frozenset)
    species: frozenset[int] | None = None
    cutoff: float | None = None
    inputs: frozenset[str] = field(default_factory=frozenset)
    charges: frozenset[int] = frozenset({0})
    spins: frozenset[int] = frozenset({1})
    outputs: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class ExpectedGap:
    """How far a model's forces are from those that correct them, on what it was made for.

    Attributes:
        rmse: root mean square over components, eV/Å.
        role: the forces it was measured for.
        reference: what they were compared with.
        p999: 99.9th percentile of components, of the species where it is largest, eV/Å; ``None``
            if it is not known.
    """

    rmse: float
    role: Role
    reference: str
    p999: float | None = None


class ForceModel(ABC):
    """A source of direct and/or conservative forces.

    One instance holds one model; every force field that names the model shares it.

    Attributes:
        needs_virial: whether virials are used; a model may return zeros where they are not.
        wanted_outputs: of ``capabilities.outputs``, those that conservative forces come with.
        expected_gap: as the model's card says, if it has one.
    """

    name: str
    capabilities: Capabilities
    needs_virial: bool = True
    wanted_outputs: frozenset[str] = frozenset()
    expected_gap: ExpectedGap | None = None

    @abstractmethod
    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        """Evaluate a batch of structures, all roles asked for in one pass.

        Args:
            structures: any number, of any sizes.
            roles: a non-empty part of ``capabilities.roles``.

        Returns:
            For each structure a mapping with one result for each of ``roles``.

        Raises:
            ModelError: if a role or a species is not offered.
        """

    def evaluate_in_parts(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> Iterator[list[Mapping[Role, ForceResult]]]:
        """Evaluate as above, and yield what is known each time that it is more.

        A model whose direct forces are there before its conservative ones yields them first. Each
        list is for all structures, the last one complete; here it is the only one.
        """
        yield self.evaluate(structures, roles)

    def energies(self, structures: Sequence[Structure]) -> list[float]:
        """The energies of structures alone, eV; a model that can makes no gradient for them."""
        results = self.evaluate(structures, frozenset({Role.CONSERVATIVE}))
        return [result[Role.CONSERVATIVE].energy for result in results]

    def check(self, numbers: Sequence[int] | NDArray[np.int_], role: Role) -> None:
        """Raise ModelError unless the model offers ``role`` for atomic numbers of shape (N,)."""
        offered = self.capabilities.roles
        if role not in offered:
            names = ", ".join(sorted(offered))
            raise ModelError(
                f"expected model '{self.name}' to offer {role} forces, but it offers only {names}; "
                f"change <parameters> role or choose another model"
            )
        known = self.capabilities.species
        unknown = set() if known is None else set(np.unique(numbers).tolist()) - known
        if unknown:
            from ase.data import chemical_symbols

            symbols = {z: chemical_symbols[z] if z else "atoms of no element" for z in unknown}
            raise ModelError(
                f"expected species that model '{self.name}' knows "
                f"({', '.join(chemical_symbols[z] for z in sorted(known or ()))}), got "
                f"{', '.join(symbols[z] for z in sorted(unknown))}; "
                f"check the template or choose another model"
            )
