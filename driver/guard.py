"""Stops a run before numbers that cannot be right corrupt it: warns first, then refuses to answer.

What is watched, each with a limit that stands in ``<parameters>`` (a number, or ``off``):

=============  ========  ====================================================================
``max_force``  100 eV/Å  the largest force on an atom
``max_move``   off       how far an atom goes between two requests of one force field and bead, Å
``max_gap``    off       the largest difference of conservative and fast force on an atom, where
                         both were asked for one structure, of one model or of two, eV/Å
=============  ========  ====================================================================

A limit that is passed once is a warning in the log: a single frame may be an accident. Passed by
three structures of one place in a row it ends the run.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from halfkick.driver.field import ForceField
from halfkick.driver.gap import Gaps
from halfkick.models.base import ForceResult, Role, Structure

__all__ = ["Guard", "GuardError"]

log = logging.getLogger("halfkick")

PATIENCE = 3
SAVED = Path("guard.xyz")


class GuardError(Exception):
    """The run was stopped; the message says why and where."""


UNITS = {"max_force": "eV/Å", "max_move": "Å", "max_gap": "eV/Å"}
WHAT = {
    "max_force": "a force",
    "max_move": "an atom that moved since the last request",
    "max_gap": "a difference of conservative and fast force",
}


class Guard:
    """Watches all force fields of a driver.

    Attributes:
        requests: structures seen, by place; messages count with it.
        gaps: between the force fields.
    """

    def __init__(self) -> None:
        self.gaps = Gaps()
        self.requests: defaultdict[Hashable, int] = defaultdict(int)
        self._last: dict[Hashable, NDArray[np.float64]] = {}
        self._passed: defaultdict[tuple[Hashable, str], int] = defaultdict(int)

    def check(
        self,
        field: ForceField,
        structures: Sequence[Structure],
        answers: Sequence[Mapping[Role, ForceResult]],
    ) -> None:
        """Compare structures of one size and their forces with the limits of their force field.

        Raises:
            GuardError: if a limit was passed several times in a row; the structure is saved.
        """
        results = [answer[field.role] for answer in answers]
        gaps, max_gap = self.gaps.see(field, structures, results)
        forces = np.concatenate([r.forces for r in results]).reshape(len(results), -1, 3)
        found = {"max_force": (largest(forces), field.limits.max_force), "max_gap": (gaps, max_gap)}
        if field.limits.max_move < np.inf:
            found["max_move"] = largest(self._moves(structures)), field.limits.max_move
        for structure in structures:
            self.requests[structure.slot] += 1
        for name, (values, limit) in found.items():
            if not self._passed and values.max() <= limit:
                continue
            for structure, result, value in zip(structures, results, values, strict=True):
                if value <= limit:
                    self._passed.pop((structure.slot, name), None)
                else:
                    self._pass(name, value, limit, structure, result)

    def _pass(
        self, name: str, value: float, limit: float, structure: Structure, result: ForceResult
    ) -> None:
        key = structure.slot, name
        self._passed[key] += 1
        where = f"request {self.requests[structure.slot]} of {structure.slot}"
        text = f"expected {name} {limit:g} {UNITS[name]}, got {WHAT[name]} of {value:.3g} ({where})"
        if self._passed[key] < PATIENCE:
            log.warning("warning: %s", text)
            return
        save(structure, result)
        raise GuardError(
            f"{text}, {PATIENCE} times in a row; look at {SAVED}, go back to a checkpoint with a "
            f"smaller timestep or stride, or set {name} in <parameters>"
        )

    def _moves(self, structures: Sequence[Structure]) -> NDArray[np.float64]:
        """Displacements since the last request from the same place, (B, N, 3), minimum image."""
        now = np.stack([structure.positions for structure in structures])
        last = np.stack([self._last.get(s.slot, s.positions) for s in structures])
        self._last.update({structure.slot: structure.positions for structure in structures})
        moves = now - last
        for move, structure in zip(moves, structures, strict=True):
            if structure.pbc.all() and np.abs(move).max() > 0.5:  # may have been wrapped
                move -= np.round(move @ np.linalg.inv(structure.cell)) @ structure.cell
        return moves


def largest(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest norm among vectors of shape (…, N, 3); shape (…)."""
    return np.sqrt((np.square(vectors) @ np.ones(3)).max(axis=-1))


def save(structure: Structure, result: ForceResult) -> None:
    """Append the structure and its forces to ``guard.xyz`` in the working directory."""
    import ase.io
    from ase import Atoms

    atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
    atoms.arrays["model_forces"] = result.forces
    ase.io.write(SAVED, atoms, format="extxyz", append=True)
