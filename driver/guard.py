"""Stops a run before numbers that cannot be right corrupt it: warns first, then refuses to answer.

What is watched, each with a limit that stands in ``<parameters>`` (a number, or ``off``):

=============  ========  ====================================================================
``max_force``  100 eV/Å  the largest force on an atom
``max_move``   off       how far an atom goes between two requests of one force field and bead, Å
``max_gap``    off       the largest difference of conservative and direct force on an atom,
                         where both are known for one structure, eV/Å
=============  ========  ====================================================================

A limit that is passed once is a warning in the log: a single frame may be an accident. Passed by
three structures of one place in a row it ends the run.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from halfkick.models.base import ForceResult, Role, Structure, without_mean_force

__all__ = ["Guard", "GuardError", "Limits"]

log = logging.getLogger("halfkick")

PATIENCE = 3
SAVED = Path("guard.xyz")


class GuardError(Exception):
    """The run was stopped; the message says why and where."""


@dataclass(frozen=True)
class Limits:
    """Bounds of one force field; ``inf`` where one is off."""

    max_force: float = 100.0
    max_move: float = np.inf
    max_gap: float = np.inf

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The parameters that set a limit."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Limits:
        """Take the limits among ``<parameters>``; ValueError if one is no positive number."""
        given = {}
        for name in set(cls.names()) & parameters.keys():
            try:
                given[name] = float("inf" if parameters[name] == "off" else parameters[name])
            except ValueError:
                given[name] = np.nan
            if not given[name] > 0.0:
                raise ValueError(
                    f"expected a positive number or 'off' for {name}, got '{parameters[name]}'"
                )
        return cls(**given)


UNITS = {"max_force": "eV/Å", "max_move": "Å", "max_gap": "eV/Å"}
WHAT = {
    "max_force": "a force",
    "max_move": "an atom that moved since the last request",
    "max_gap": "a difference of conservative and direct force",
}


class Guard:
    """Watches all force fields of a driver.

    Attributes:
        requests: structures seen, by place; messages count with it.
    """

    def __init__(self) -> None:
        self.requests: defaultdict[Hashable, int] = defaultdict(int)
        self._last: dict[Hashable, NDArray[np.float64]] = {}
        self._passed: defaultdict[tuple[Hashable, str], int] = defaultdict(int)

    def check(
        self,
        structures: Sequence[Structure],
        results: Sequence[Mapping[Role, ForceResult]],
        limits: Limits,
        role: Role,
    ) -> None:
        """Compare structures of one size and their forces with the limits of their force field.

        Raises:
            GuardError: if a limit was passed several times in a row; the structure is saved.
        """
        found = {
            "max_force": largest(np.stack([result[role].forces for result in results])),
            "max_move": largest(self._moves(structures)),
            "max_gap": np.array([gap(result) for result in results]),
        }
        for structure in structures:
            self.requests[structure.slot] += 1
        for name, values in found.items():
            limit = getattr(limits, name)
            if not self._passed and values.max() <= limit:
                continue
            for structure, result, value in zip(structures, results, values, strict=True):
                if value <= limit:
                    self._passed.pop((structure.slot, name), None)
                else:
                    self._pass(name, value, limit, structure, result[role])

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


def gap(results: Mapping[Role, ForceResult]) -> float:
    """The largest difference of the two forces on an atom, eV/Å, their means removed; else 0."""
    if len(results) < 2:
        return 0.0
    difference = results[Role.CONSERVATIVE].forces - results[Role.DIRECT].forces
    return float(largest(without_mean_force(difference)))


def largest(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest norm among vectors of shape (…, N, 3); shape (…)."""
    return np.sqrt(np.einsum("...ij,...ij->...i", vectors, vectors).max(axis=-1))


def save(structure: Structure, result: ForceResult) -> None:
    """Append the structure and its forces to ``guard.xyz`` in the working directory."""
    import ase.io
    from ase import Atoms

    atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
    atoms.arrays["model_forces"] = result.forces
    ase.io.write(SAVED, atoms, format="extxyz", append=True)
