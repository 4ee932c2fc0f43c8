"""Stops a run before numbers that cannot be right corrupt it: warns first, then refuses to answer.

What is watched, each with a limit that stands in ``<parameters>`` (a number, or ``off``):

=============  ========  ====================================================================
``max_force``  100 eV/Å  the largest force on an atom
``max_move``   1 Å       how far an atom goes between two requests of one force field and bead
``max_gap``    off       the largest difference of conservative and direct force on an atom,
                         where both are known for one structure, eV/Å
=============  ========  ====================================================================

A limit that is passed once is a warning in the log: a single frame may be an accident. Passed by
three structures of one place in a row it ends the run.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Mapping
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
    max_move: float = 1.0
    max_gap: float = np.inf

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The parameters that set a limit."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Limits:
        """Take the limits among ``<parameters>``; ValueError if one is no positive number."""
        given = {}
        for name in cls.names():
            if name in parameters:
                text = parameters[name]
                given[name] = np.inf if text == "off" else float(text)
                if not given[name] > 0.0:
                    raise ValueError(
                        f"expected a positive number or 'off' for {name}, got '{text}'"
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
        self, structure: Structure, results: Mapping[Role, ForceResult], limits: Limits, role: Role
    ) -> None:
        """Compare one structure and its forces with the limits of its force field.

        Raises:
            GuardError: if a limit was passed several times in a row; the structure is saved.
        """
        self.requests[structure.slot] += 1
        found = {
            "max_force": largest(results[role].forces),
            "max_move": self._moved(structure),
            "max_gap": gap(results) if len(results) > 1 else 0.0,
        }
        for name, value in found.items():
            if value <= getattr(limits, name):
                self._passed.pop((structure.slot, name), None)
            else:
                self._pass(name, value, getattr(limits, name), structure, results[role])

    def _pass(
        self, name: str, value: float, limit: float, structure: Structure, result: ForceResult
    ) -> None:
        key = structure.slot, name
        self._passed[key] += 1
        where = f"{structure.slot}, request {self.requests[structure.slot]}"
        text = f"expected {name} {limit:g} {UNITS[name]}, got {WHAT[name]} of {value:.3g} ({where})"
        if self._passed[key] < PATIENCE:
            log.warning("warning: %s", text)
            return
        save(structure, result)
        raise GuardError(
            f"{text}, {PATIENCE} times in a row; look at {SAVED}, go back to a checkpoint with a "
            f"smaller timestep or stride, or set {name} in <parameters>"
        )

    def _moved(self, structure: Structure) -> float:
        """The largest displacement since the last request from the same place, minimum image."""
        last = self._last.get(structure.slot)
        self._last[structure.slot] = structure.positions
        if last is None or last.shape != structure.positions.shape:
            return 0.0
        moves = structure.positions - last
        if np.abs(moves).max() > 0.5 and structure.pbc.all():  # may have been wrapped
            moves -= np.round(moves @ np.linalg.inv(structure.cell)) @ structure.cell
        return largest(moves)


def gap(results: Mapping[Role, ForceResult]) -> float:
    """The largest difference of the two forces on an atom, eV/Å, their means removed."""
    difference = results[Role.CONSERVATIVE].forces - results[Role.DIRECT].forces
    return largest(without_mean_force(difference))


def largest(vectors: NDArray[np.float64]) -> float:
    """The largest norm of vectors of shape (N, 3)."""
    return float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors).max()))


def save(structure: Structure, result: ForceResult) -> None:
    """Append the structure and its forces to ``guard.xyz`` in the working directory."""
    import ase.io
    from ase import Atoms

    atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
    atoms.arrays["model_forces"] = result.forces
    ase.io.write(SAVED, atoms, format="extxyz", append=True)
