"""Stops a run before numbers that cannot be right corrupt it: warns first, then refuses to answer.

What is watched, each with a limit that stands in ``<parameters>`` (a number, or ``off``):

=============  ============================================  ==================================
``max_force``  100 eV/Å                                      the largest force on an atom
``max_move``   1 Å where i-PI's input is at hand and says    how far an atom goes between two
               nothing but dynamics, else off                requests of one bead, Å
``max_gap``    10 times the 99.9th percentile on the card    the largest difference of conservative
               of the fast force's model, off without card   and fast force on an atom, where both
                                                             were asked for one structure, of one
                                                             model or of two, eV/Å
=============  ============================================  ==================================

A limit that is passed once is a warning in the log: a single frame may be an accident. Passed by
three structures of one place in a row it ends the run. Numbers that are not finite end it at once.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....models.base import Structure, all_finite
from ...errors import GuardError
from ..force_field import ForceField, Numbers
from . import GUARD_FILE
from .displacement import Moves
from .gap import Gaps
from .norm import bound, longest

__all__ = [
    "Guard",
]

log = logging.getLogger("halfkick")

PATIENCE = 3
SAVED = Path(GUARD_FILE)


UNITS = {"max_force": "eV/Å", "max_move": "Å", "max_gap": "eV/Å"}
WHAT = {
    "max_force": "a force",
    "max_move": "an atom that moved since the last request",
    "max_gap": "a difference of conservative and fast force",
}


class Guard:
    """Watches all force fields of a driver.

    Args:
        remember: structures among which the one before is sought; see :class:`Moves`.

    Attributes:
        requests: structures seen, by place; messages count with it.
        gaps: between the force fields.
    """

    def __init__(self, remember: int) -> None:
        self.gaps = Gaps()
        self.requests: defaultdict[Hashable, int] = defaultdict(int)
        self._moves = Moves(remember)
        self._passed: defaultdict[tuple[Hashable, str], int] = defaultdict(int)

    def begin(self) -> None:
        """Take note that i-PI begins with a connection: it may have gone back in time."""
        self._moves.forget()

    def check(self, field: ForceField, structures: Sequence[Structure], numbers: Numbers) -> None:
        """Compare structures of one size and what is to be said of them with the limits.

        Raises:
            GuardError: if a limit was passed several times in a row, or a number is not finite;
                the structure is saved.
        """
        energies, forces, virials = numbers
        for structure in structures:
            self.requests[structure.slot] += 1
        largest = bound(forces)
        if not (largest < np.inf and all_finite(energies, virials)):
            self._refuse(field, structures, numbers)
        limits = field.limits
        gaps, max_gap = self.gaps.see(field, structures, forces)
        found = {"max_gap": (gaps, max_gap)}
        if largest > limits.max_force or self._passed:
            found["max_force"] = [longest(own) for own in forces], limits.max_force
        if limits.max_move < np.inf:
            found["max_move"] = self._moves.see(structures, limits.max_move), limits.max_move
        for name, (values, limit) in found.items():
            if not self._passed and not any(value > limit for value in values):
                continue
            for structure, own, value in zip(structures, forces, values, strict=True):
                if value > limit:
                    self._pass(name, value, limit, structure, own)
                elif value <= limit:  # and not NaN: there was something to compare
                    self._passed.pop((structure.slot, name), None)

    def _refuse(self, field: ForceField, structures: Sequence[Structure], numbers: Numbers) -> None:
        """Raise GuardError for the first structure with a number that is not finite."""
        for structure, *own in zip(structures, *numbers, strict=True):
            named = zip(("energy", "forces", "virial"), own, strict=True)
            bad = [name for name, values in named if not np.isfinite(values).all()]
            if bad:
                save(structure, own[1])
                raise GuardError(
                    f"expected finite numbers from model '{field.model.name}', got NaN or infinity "
                    f"in {field.role} {' and '.join(bad)} ({self._where(structure)}); look at "
                    f"{SAVED}, go back to a checkpoint with a smaller timestep or stride, or mend "
                    f"the model"
                )

    def _where(self, structure: Structure) -> str:
        return f"request {self.requests[structure.slot]} of {structure.slot}"

    def _pass(
        self,
        name: str,
        value: float,
        limit: float,
        structure: Structure,
        forces: NDArray[np.float64],
    ) -> None:
        key = structure.slot, name
        self._passed[key] += 1
        where = self._where(structure)
        text = f"expected {name} {limit:g} {UNITS[name]}, got {WHAT[name]} of {value:.3g} ({where})"
        if self._passed[key] < PATIENCE:
            log.warning("warning: %s", text)
            return
        save(structure, forces)
        raise GuardError(
            f"{text}, {PATIENCE} times in a row; look at {SAVED}, go back to a checkpoint with a "
            f"smaller timestep or stride, or set {name} in <parameters>"
        )


def save(structure: Structure, forces: NDArray[np.float64]) -> None:
    """Append the structure and its forces to ``guard.xyz`` in the working directory."""
    import ase.io
    from ase import Atoms

    atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
    atoms.arrays["model_forces"] = forces
    ase.io.write(SAVED, atoms, format="extxyz", append=True)
