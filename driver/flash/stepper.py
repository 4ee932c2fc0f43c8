"""Steps by a network in the place of i-PI's integrator, corrected, watched, and done again.

i-PI's own step stays as it is: thermostat, constraints, time, outputs, RESTART. Its integrator is
asked to propagate positions and momenta by one step, and here a network does it:

.. code-block:: text

    network, on the structure turned at random      q, p → q', p'
    centre of mass                                  moves as before: Δq = P Δt / M, P stays
    energy                                          p' rescaled so that V(q') + K(p') = V(q) + K(p)
    guard                                           as it must be: i-PI goes on
                                                    else q, p again, by i-PI's own integrator

The guard refuses a step with numbers that are not finite, an atom that goes too far, an energy that
changes by too large a part of the kinetic energy, and a species whose temperature is far from that
of all. The third refused step in a row ends the run.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ipi.utils.depend import dstrip
from ipi.utils.units import unit_to_user
from numpy.typing import NDArray

from ...models.base import Structure
from ...models.errors import ModelError
from ...models.files import write_atomically
from ...models.flash.energy import with_kinetic_energy
from ...models.flash.network import FlashNetwork
from ..ipi.flash import FlashInput

__all__ = ["MAX_IN_A_ROW", "Refused", "Stepper"]

log = logging.getLogger("halfkick")

MAX_IN_A_ROW = 3  # refused steps
MOMENTUM, LENGTH = unit_to_user("momentum", "ase", 1.0), unit_to_user("length", "ase", 1.0)
"""(eV amu)^½ and Å of i-PI's units."""

Array = NDArray[np.float64]


class Refused(Exception):
    """A step that the guard refuses: the limit that it passed, and why in words."""

    def __init__(self, limit: str, why: str) -> None:
        super().__init__(why)
        self.limit = limit


@dataclass(frozen=True)
class Atoms:
    """What does not change.

    Attributes:
        numbers: atomic numbers, shape (N,).
        masses: i-PI's units, shape (N,).
        pbc: periodic directions, shape (3,).
        weights: of the momenta's corrections, shape (N,).
    """

    numbers: NDArray[np.int_]
    masses: Array
    pbc: NDArray[np.bool_]
    weights: Array


class Stepper:
    """Takes the place of an integrator's propagation.

    Args:
        motion: i-PI's, of dynamics; its integrator's ``mtsprop`` is replaced.
        network: predicts steps as long as i-PI's.
        settings: of the input.
        atoms: of the system.
        report: file of counts, written when a step is refused and by :meth:`write_report`.
        end: called with the reason when too many steps were refused; does not return.
    """

    def __init__(
        self,
        motion: Any,
        network: FlashNetwork,
        settings: FlashInput,
        atoms: Atoms,
        report: Path,
        end: Callable[[str], None],
    ) -> None:
        self._motion, self._network, self._settings = motion, network, settings
        self._atoms, self._report, self._end = atoms, report, end
        self._steps = self._in_a_row = 0
        self._refused: Counter[str] = Counter()
        self._propagate = motion.integrator.mtsprop
        self._falls_back = False
        motion.integrator.mtsprop = self

    def __call__(self, level: int) -> None:
        """Propagate positions and momenta, as the integrator does from a level on."""
        if level or self._falls_back:
            self._propagate(level)
            return
        beads = self._motion.beads
        q, p = dstrip(beads.q).copy(), dstrip(beads.p).copy()
        self._steps += 1
        try:
            self._step(q[0].reshape(-1, 3), p[0].reshape(-1, 3))
            self._in_a_row = 0
        except Refused as refused:
            beads.q[:], beads.p[:] = q, p
            self._note(refused)
            self._fall_back()

    def write_report(self) -> None:
        """Write how many steps there were, and how many were refused for which limit."""
        report = {"steps": self._steps, "refused": dict(self._refused)}
        write_atomically(self._report, json.dumps(report) + "\n")

    def _step(self, q: Array, p: Array) -> None:
        """Move i-PI's atoms, or raise Refused; arrays are of shape (N, 3), in i-PI's units."""
        motion, masses, limits = self._motion, self._atoms.masses, self._settings
        before = float(motion.forces.pot) + kinetic(p, masses)
        try:
            moved, new = self._predict(q, p)
        except ModelError as error:
            raise Refused("network", str(error)) from error
        if not (np.isfinite(moved).all() and np.isfinite(new).all()):
            raise Refused("finite", "the network gave numbers that are not finite")
        velocity = p.sum(axis=0) / masses.sum()
        moved += velocity * motion.dt - masses @ moved / masses.sum()
        new += masses[:, None] * (velocity - new.sum(axis=0) / masses.sum())
        furthest = LENGTH * float(np.linalg.norm(moved, axis=1).max())
        if furthest > limits.max_move:
            raise Refused("max_move", f"an atom would go {furthest:.3g} Å")
        motion.beads.q[0] = (q + moved).ravel()
        excess = float(motion.forces.pot) + kinetic(new, masses) - before
        part = abs(excess) / kinetic(p, masses)
        if not part <= limits.max_error:
            raise Refused("max_error", f"the energy would change by {part:.3g} of the kinetic one")
        motion.beads.p[0] = self._with_energy(new, excess).ravel()

    def _predict(self, q: Array, p: Array) -> tuple[Array, Array]:
        """Displacements and momenta by the network, of the structure as it is or turned."""
        turn = np.eye(3)
        if self._settings.rotate:
            # F. Mezzadri, Notices of the AMS 54, 592 (2007)
            orthogonal, triangle = np.linalg.qr(self._motion.prng.gvec((3, 3)))
            turn = orthogonal * np.sign(np.diag(triangle))
        cell = dstrip(self._motion.cell.h).T
        structure = Structure(
            self._atoms.numbers, LENGTH * q @ turn, LENGTH * cell @ turn, self._atoms.pbc
        )
        moved, new = self._network.step(structure, MOMENTUM * p @ turn)
        return moved @ turn.T / LENGTH, new @ turn.T / MOMENTUM

    def _with_energy(self, p: Array, excess: float) -> Array:
        """Momenta that have lost an excess of energy; Refused if a species is hot or cold."""
        masses = self._atoms.masses
        if self._settings.rescale != "none":
            wanted = kinetic(p, masses) - excess
            found = with_kinetic_energy(p, masses, wanted, self._atoms.weights)
            if found is None:
                raise Refused("max_error", "no momenta keep the energy")
            p = found
        worst, number = max(self._imbalances(p))
        if worst > self._settings.max_imbalance:
            raise Refused(
                "max_imbalance",
                f"atoms of number {number} would be {worst:.3g} standard deviations from the "
                f"temperature of all",
            )
        return p

    def _imbalances(self, p: Array) -> list[tuple[float, int]]:
        """Of each species how far it is from the temperature of all, in standard deviations."""
        energies = (p**2).sum(axis=1) / self._atoms.masses
        numbers, found = self._atoms.numbers, []
        for number in np.unique(numbers).tolist():
            own = energies[numbers == number]
            ratio = float(own.mean() / energies.mean())
            found.append((abs(ratio - 1.0) * (1.5 * len(own)) ** 0.5, number))
        return found

    def _note(self, refused: Refused) -> None:
        self._refused[refused.limit] += 1
        self._in_a_row += 1
        self.write_report()
        log.warning("step %d of this run is done again without the network: %s", self._steps,
                    refused)  # fmt: skip
        if self._in_a_row == MAX_IN_A_ROW:
            self._end(f"{MAX_IN_A_ROW} steps of the network in a row were refused, since {refused}")

    def _fall_back(self) -> None:
        """Let i-PI's own integrator propagate, by the force fields that stand at weight 0."""
        components = self._motion.forces.mforces
        weights = [float(component.weight) for component in components]
        try:
            self._falls_back = True
            for component, weight in zip(components, weights, strict=True):
                component.weight = 1.0 - weight
            self._propagate(0)
        finally:
            self._falls_back = False
            for component, weight in zip(components, weights, strict=True):
                component.weight = weight


def kinetic(momenta: Array, masses: Array) -> float:
    """Kinetic energy of momenta (N, 3) and masses (N,)."""
    return float(((momenta**2).sum(axis=1) / masses).sum()) / 2.0
