"""Stops a run before numbers that cannot be right corrupt it: warns first, then refuses to answer.

What is watched, each with a limit that stands in ``<parameters>`` (a number, or ``off``):

=============  ============================================  ==================================
``max_force``  100 eV/Å                                      the largest force on an atom
``max_move``   1 Å where i-PI's input is at hand and says    how far an atom goes between two
               nothing but dynamics, else off; more for      requests of one bead, Å
               particles lighter than atoms
``max_gap``    10 times the 99.9th percentile on the card    the largest difference of conservative
               of the fast force's model, off without card   and fast force on an atom, where both
                                                             were asked for one structure, of one
                                                             model or of two, eV/Å
=============  ============================================  ==================================

``uncertainty_threshold`` is off unless it is given: the largest uncertainty of the energy of an
atom, eV. Structures beyond it are saved, with those of all atoms.

A limit that is passed once is a warning in the log: a single frame may be an accident. Passed by
three structures of one place in a row it ends the run. Numbers that are not finite end it at once.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from ....models.base import Structure
from ...errors import GuardError
from ..extras import uncertainty_of_atoms
from ..force_field import ForceField, ServedForces
from ..limits import max_norm
from . import GUARD_FILE, UNCERTAIN_FILE
from .displacement import DisplacementMonitor
from .gap import GapMonitor

__all__ = ["Guard"]

log = logging.getLogger("halfkick")

MAX_CONSECUTIVE_VIOLATIONS = 3
LIMIT_UNITS = {
    "max_force": "eV/Å",
    "max_move": "Å",
    "max_gap": "eV/Å",
    "uncertainty_threshold": "eV/atom",
}
LIMITED_QUANTITIES = {
    "max_force": "a force",
    "max_move": "an atom that moved since the last request",
    "max_gap": "a difference of conservative and fast force",
    "uncertainty_threshold": "an uncertainty of the energy of an atom",
}
REMEDY = (
    f"look at {GUARD_FILE}, go back to a checkpoint with a smaller timestep or stride, or set "
    f"{{name}} in <parameters>"
)
REMEDIES = {
    "uncertainty_threshold": f"train the model on structures like those in {UNCERTAIN_FILE}, or "
    f"set {{name}} in <parameters>",
}


class Guard:
    """Watches all force fields of a driver.

    Args:
        remember: structures among which the one before is sought; see
            :class:`~halfkick.driver.server.guards.displacement.DisplacementMonitor`.

    Attributes:
        requests: structures seen, by slot; messages count with it.
        gaps: between the force fields.
    """

    def __init__(self, remember: int) -> None:
        self.gaps = GapMonitor()
        self.requests: defaultdict[Hashable, int] = defaultdict(int)
        self._displacements = DisplacementMonitor(remember)
        self._violations: defaultdict[tuple[Hashable, str], int] = defaultdict(int)

    def begin(self) -> None:
        """Take note that i-PI begins with a connection: it may have gone back in time."""
        self._displacements.reset()

    def check(
        self, force_field: ForceField, structures: Sequence[Structure], served: ServedForces
    ) -> None:
        """Compare structures of one size and what is to be said of them with the limits.

        Raises:
            GuardError: if a limit was passed several times in a row, or a number is not finite;
                the structure is saved.
        """
        for structure in structures:
            self.requests[structure.slot] += 1
        if not served.is_finite:
            self._refuse(force_field, structures, served)
        if force_field.energy_only:
            return  # who moves the atoms looks at the rest
        forces, limits = served.forces, force_field.limits
        found = {"max_gap": self.gaps.update(force_field, structures, forces)}
        if served.max_force_bound > limits.max_force or self._violations:
            found["max_force"] = [max_norm(own) for own in forces], limits.max_force
        if limits.max_move < np.inf:
            displacements = self._displacements.update(structures, limits.max_move)
            found["max_move"] = displacements, limits.max_move
        if limits.uncertainty_threshold < np.inf:
            found["uncertainty_threshold"] = self._uncertainties(force_field, structures, served)
        for name, (values, limit) in found.items():
            if not self._violations and not any(value > limit for value in values):
                continue
            for structure, own, value in zip(structures, forces, values, strict=True):
                if value > limit:
                    self._note_violation(name, value, limit, structure, own)
                elif value <= limit:  # and not NaN: there was something to compare
                    self._violations.pop((structure.slot, name), None)

    def _refuse(
        self, force_field: ForceField, structures: Sequence[Structure], served: ServedForces
    ) -> None:
        """Raise GuardError for the first structure with a number that is not finite."""
        arrays = served.energies, served.forces, served.virials
        outputs = served.outputs or [{}] * len(structures)
        for structure, more, *own in zip(structures, outputs, *arrays, strict=True):
            named = dict(zip(("energy", "forces", "virial"), own, strict=True), **more)
            bad = [name for name, values in named.items() if not np.isfinite(values).all()]
            if bad:
                save(structure, own[1])
                raise GuardError(
                    f"expected finite numbers from model '{force_field.model.name}', got NaN or "
                    f"infinity in {force_field.role} {' and '.join(bad)} "
                    f"({self._where(structure)}); look at {GUARD_FILE}, go back to a checkpoint "
                    f"with a smaller timestep or stride, or mend the model"
                )

    def _uncertainties(
        self, force_field: ForceField, structures: Sequence[Structure], served: ServedForces
    ) -> tuple[list[float], float]:
        """The largest of each structure, eV per atom, and the limit; save those beyond it."""
        limit = force_field.limits.uncertainty_threshold
        found = []
        for structure, own, more in zip(structures, served.forces, served.outputs, strict=True):
            sigma = uncertainty_of_atoms(more, len(own))
            found.append(float(sigma.max()))
            if found[-1] > limit:
                save(structure, own, UNCERTAIN_FILE, energy_uncertainty=sigma)
        return found, limit

    def _where(self, structure: Structure) -> str:
        return f"request {self.requests[structure.slot]} of {structure.slot}"

    def _note_violation(
        self,
        name: str,
        value: float,
        limit: float,
        structure: Structure,
        forces: NDArray[np.float64],
    ) -> None:
        key = structure.slot, name
        self._violations[key] += 1
        where = self._where(structure)
        text = (
            f"expected {name} {limit:g} {LIMIT_UNITS[name]}, "
            f"got {LIMITED_QUANTITIES[name]} of {value:.3g} ({where})"
        )
        if self._violations[key] < MAX_CONSECUTIVE_VIOLATIONS:
            log.warning("warning: %s", text)
            return
        save(structure, forces)
        raise GuardError(
            f"{text}, {MAX_CONSECUTIVE_VIOLATIONS} times in a row; "
            f"{REMEDIES.get(name, REMEDY).format(name=name)}"
        )


def save(
    structure: Structure,
    forces: NDArray[np.float64],
    file: str = GUARD_FILE,
    **arrays: NDArray[np.float64],
) -> None:
    """Append a structure, its forces, shape (N, 3), eV/Å, and what else there is of its atoms."""
    import ase.io
    from ase import Atoms

    atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
    atoms.arrays |= {"model_forces": forces, **arrays}
    ase.io.write(file, atoms, format="extxyz", append=True)
