"""The systems of a run: of each its atoms, its force fields and its outputs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import InputError
from ..ipi.forces import force_field_without_energy
from ..ipi.input import IpiInput
from ..ipi.sockets import Socket
from ..ipi.start import StartAtoms, count_in_file
from ..ipi.structures import read_structures
from ..ipi.system import System

__all__ = ["RunSystem", "names_of", "systems_of"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunSystem:
    """One system of a run.

    Attributes:
        system: what the input says of it.
        source: the input.
    """

    system: System
    source: IpiInput

    @property
    def name(self) -> str:
        """What its output files begin with; empty where the input gives it no prefix."""
        return self.system.prefix

    @property
    def properties(self) -> Path | None:
        """i-PI's file of energies and temperature, ``None`` if it writes none."""
        return self.source.files.properties_of(self.name)

    def trajectories(self, quantity: str) -> list[list[Path]]:
        """For each trajectory of a quantity, the files of its beads."""
        return self.source.files.trajectories(quantity, self.name)

    @cached_property
    def sockets(self) -> list[Socket]:
        """Those of its own force fields; all of the input where it names no forces."""
        own = {force.forcefield for force in self.system.forces}
        return [s for s in self.source.sockets if not own or s.forcefield in own]

    @cached_property
    def without_energy(self) -> str | None:
        """A force field whose energy the conserved quantity lacks, if there is one."""
        forces = [(self.system.beads, self.system.forces)]
        return force_field_without_energy(self.source.sockets, forces)

    @cached_property
    def n_atoms(self) -> int | None:
        """How many i-PI starts from; ``None`` if that cannot be read.

        Where the start is gone, as many as a template of its force fields has, which may be a part
        of the system.
        """
        count = self.system.count_atoms(self.source.folder)
        return self._atoms_in_template() if count is None else count

    @cached_property
    def atoms(self) -> StartAtoms | None:
        """Labels and masses as i-PI has them; ``None`` if they cannot be read any more."""
        return self.system.read_start(self.source.folder)

    @cached_property
    def periodic(self) -> tuple[bool, ...]:
        """Directions that are periodic for its models, which i-PI does not know: by a template."""
        for template in self._templates():
            try:
                return read_structures(template)[-1].periodic
            except InputError as error:
                log.info("cannot read template %s: %s", template, error)
        return (True, True, True)

    @property
    def target_K(self) -> float | None:
        """What its temperature is held at, ``None`` if nothing does, or not at the same."""
        ensemble = self.system.ensemble
        varies = self.source.exchanges_ensembles or self.system.ramps_temperature
        if ensemble.mode == "nve" or varies or self.system.temperature_remark:
            return None
        return ensemble.temperature_K

    @property
    def conserved_remark(self) -> str:
        """Why the conserved quantity is not conserved, whatever the forces; empty if it is.

        As :attr:`temperature_remark`, what stands before a colon says it in short.
        """
        return self.system.conserved_remark

    @property
    def temperature_remark(self) -> str:
        """Why i-PI's temperature is not that of what moves, or not the target's; empty if it is."""
        fixed, target = len(self.system.fixed_coordinates), self.system.ensemble.temperature_K
        if self.system.temperature_remark or not (fixed and target and self.n_atoms):
            return self.system.temperature_remark
        part = fixed / (3 * self.n_atoms)
        return f"{part:.0%} of it the target's: i-PI takes fixed coordinates to be at {target:g} K"

    def _atoms_in_template(self) -> int | None:
        for template in self._templates():
            try:
                return count_in_file(template)
            except Exception as error:  # readers raise anything; the driver will say so
                log.info("cannot read template %s: %s", template, error)
        return None

    def _templates(self) -> list[Path]:
        """Those of its force fields that are there."""
        named = [(s.parameters or {}).get("template", "") for s in self.sockets]
        return [path for name in named if (path := self.source.folder / name).is_file()]


def systems_of(source: IpiInput) -> list[RunSystem]:
    """All systems of an input; one of which nothing is known where it names none."""
    return [RunSystem(system, source) for system in source.systems or [System()]]


def names_of(systems: Sequence[RunSystem]) -> list[str]:
    """What to call systems: by their prefixes, or by number where these do not tell them apart."""
    names = [system.name for system in systems]
    if all(names) and len(set(names)) == len(names):
        return names
    return [str(number) for number in range(len(systems))]
