"""An i-PI input: what it says, and how another one is made from it.

:class:`IpiInput` is the one place that reads and writes i-PI's XML. Facts are read when they are
asked, with i-PI's own defaults; changes make another input and leave the first as it is.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Concatenate, ParamSpec
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ..errors import InputError
from . import changes
from .elements import attribute, text_of, whole_number
from .flash import FlashInput, energy_sockets, read_flash
from .forces import force_field_without_energy
from .json_input import read_json
from .layout import laid_out_as
from .motion import Bath, Ensemble, Motion
from .output_files import OutputFiles
from .outputs import Outputs
from .serving import ForceFieldElement, read_force_fields
from .sockets import Socket, read_sockets
from .system import System, read_systems

__all__ = ["IpiInput"]

Given = ParamSpec("Given")

MOTIONS_OF_KNOWN_USE = {"dynamics", "minimize", "replay", "dummy", "multi"}


class IpiInput:
    """An i-PI input or RESTART.

    Args:
        root: its ``<simulation>``; without one nothing is known of what i-PI does.
        path: where it stands, or that from which it was made.
    """

    def __init__(self, root: Element | None = None, path: Path | None = None) -> None:
        self._root = Element("simulation") if root is None else root
        self.path = Path() if path is None else path

    @classmethod
    def read(cls, path: Path, *, served: bool = True) -> IpiInput:
        """Read a file, JSON if its name says so.

        Args:
            path: of an input or RESTART.
            served: whether it must have something to serve.

        Raises:
            InputError: if it is missing, is no i-PI input, has no ``<ffsocket>``, or has other than
                numbers where they must be.
        """
        kind = "JSON" if path.suffix == ".json" else "XML"
        try:
            data = path.read_bytes()
            root = read_json(data.decode()) if kind == "JSON" else ElementTree.fromstring(data)
        except OSError as error:
            raise InputError(
                f"expected an i-PI input file, cannot read '{path}': {error.strerror}"
            ) from error
        except (ElementTree.ParseError, ValueError) as error:
            raise InputError(f"expected i-PI {kind}, '{path}' cannot be parsed: {error}") from error
        if root.tag != "simulation":
            raise InputError(f"expected <simulation> in '{path}', got <{root.tag}>")
        source = cls(root, path)
        if served and not source.sockets:
            raise InputError(
                f"expected at least one <ffsocket> in '{path}', got none; "
                f"halfkick serves force fields of that kind"
            )
        # what a run is planned by: mistakes show before anything is started
        _ = source.step, source.total_steps, source.inner_steps, source.without_energy
        return source

    @classmethod
    def read_state(cls, path: Path) -> IpiInput:
        """Read a checkpoint, of which the state alone is wanted.

        Raises:
            InputError: if it is missing or no XML.
        """
        try:
            return cls(ElementTree.parse(path).getroot(), path)
        except (OSError, ElementTree.ParseError) as error:
            raise InputError(f"expected a checkpoint of i-PI, got '{path}': {error}") from error

    @classmethod
    def parse(cls, text: str, path: Path | None = None) -> IpiInput:
        """Read a text that is known to be an input."""
        return cls(ElementTree.fromstring(text), path)

    @cached_property
    def folder(self) -> Path:
        """Where i-PI runs on it and leaves its outputs: where it stands, or the working directory.

        i-PI seeks files from its working directory. The second it is where more of the files that
        the input names are found there.
        """
        beside, here = self.path.parent, Path.cwd()
        if beside.resolve() == here:
            return beside
        lacking = changes.missing_files(self._root, beside)
        fewer = lacking and len(changes.missing_files(self._root, here)) < len(lacking)
        return here if fewer else beside

    # ---- what it says of force fields

    @cached_property
    def sockets(self) -> list[Socket]:
        """Its force fields that a driver serves, those inside of others included."""
        return read_sockets(self._root, self.replicas)

    @cached_property
    def force_fields(self) -> list[ForceFieldElement]:
        """All its force fields, those inside of others included."""
        return read_force_fields(self._root)

    @cached_property
    def without_energy(self) -> str | None:
        """A force field whose energy i-PI's conserved quantity lacks; ``None`` if there is none."""
        return force_field_without_energy(self.sockets, [(s.beads, s.forces) for s in self.systems])

    @cached_property
    def inner_steps(self) -> int:
        """Evaluations of the fastest force in an outer step; 1 without levels, and of FlashMD."""
        if energy_sockets(self.sockets):
            return 1
        dynamics = [s.dynamics for s in self.systems]
        return next((d.inner_steps for d in dynamics if d is not None and d.nmts), 1)

    @cached_property
    def flash(self) -> FlashInput | None:
        """The network that moves the atoms; ``None`` if i-PI's own integrator does.

        Raises:
            InputError: if something does not go with it.
        """
        return read_flash(self.sockets, self.systems)

    # ---- of systems and motions

    @cached_property
    def systems(self) -> list[System]:
        """Its systems, those of templates included."""
        return read_systems(self._root)

    @property
    def replicas(self) -> int:
        """How many structures i-PI may ask for at once: beads of all systems."""
        return max(sum(system.beads for system in self.systems), 1)

    @property
    def beads(self) -> int:
        """Beads of the first system."""
        return self.systems[0].beads if self.systems else 1

    @property
    def ensemble(self) -> Ensemble:
        """Conditions of the first system."""
        return self.systems[0].ensemble if self.systems else Ensemble("nve")

    @property
    def nmts(self) -> tuple[int, ...]:
        """Steps at each level of the first system, the outermost first; empty without levels."""
        dynamics = self.systems[0].dynamics if self.systems else None
        return () if dynamics is None else dynamics.nmts

    @property
    def timestep_fs(self) -> float | None:
        """The outer step of the first system; ``None`` where there is no time."""
        dynamics = self.systems[0].dynamics if self.systems else None
        return None if dynamics is None else dynamics.timestep_fs

    @cached_property
    def needs_virial(self) -> bool:
        """Whether the ensemble uses the virial (a barostat or a cell optimiser)."""
        return any(motion.needs_virial for motion in self._motions)

    @cached_property
    def shows_virial(self) -> bool:
        """Whether anything else may use it: an output, or a motion of which that is not known."""
        if not self.systems:
            return True
        outputs = " ".join(item.what for item in self.outputs.items)
        modes = {motion.mode for motion in self._motions}
        return not modes <= MOTIONS_OF_KNOWN_USE or bool(re.search("vir|press|stress", outputs))

    @cached_property
    def is_dynamics(self) -> bool:
        """Whether atoms move by nothing but dynamics, from where they are."""
        modes = {motion.mode for motion in self._motions}
        return modes in ({"dynamics"}, {"dynamics", "multi"})

    @property
    def exchanges_ensembles(self) -> bool:
        """Whether systems exchange their temperatures and pressures while they run."""
        return any(attribute(smotion, "mode") == "remd" for smotion in self._root.iter("smotion"))

    @property
    def _motions(self) -> list[Motion]:
        return [motion for system in self.systems for motion in system.motions]

    @property
    def exchanges_replicas(self) -> bool:
        """Whether systems change places by their energies."""
        return any(attribute(e, "mode") == "remd" for e in self._root.iter("smotion"))

    # ---- of steps and outputs

    @cached_property
    def step(self) -> int:
        """The outer steps done when it was written."""
        return whole_number(text_of(self._root, "step", "0"), "<step>")

    @cached_property
    def total_steps(self) -> int:
        """Outer steps in all."""
        return whole_number(text_of(self._root, "total_steps", "1000"), "<total_steps>")

    @cached_property
    def outputs(self) -> Outputs:
        """What i-PI writes."""
        return Outputs.read(self._root)

    @property
    def files(self) -> OutputFiles:
        """Where i-PI writes that to."""
        prefixes = [system.prefix for system in self.systems] or [""]
        exchange = next(self._root.iter("remd"), None)
        name = "" if exchange is None else text_of(exchange, "swapfile", "remd_idx")
        return OutputFiles(self.outputs, self.folder, prefixes, name, self.timestep_fs)

    @property
    def eigenvalues(self) -> Path | None:
        """The file of squared frequencies that ``vibrations`` leave, in atomic units."""
        element = next(self._root.iter("vibrations"), None)
        if element is None:
            return None
        names = self.outputs.prefix, text_of(element, "prefix", "phonons"), "eigval"
        return self.folder / ".".join(filter(None, names))

    @property
    def tells_steps(self) -> bool:
        """Whether it writes properties of which each row tells its step."""
        return any("step" in item.quantities for item in self.outputs.of_kind("properties"))

    # ---- other inputs, made from it

    def replace(
        self,
        *,
        attributes: Mapping[str, str] | None = None,
        total_steps: int | None = None,
        seed: int | None = None,
        timestep_fs: float | None = None,
        nmts: Sequence[int] | None = None,
        ensemble: str | None = None,
        thermostat: Bath | None = None,
        temperature_K: float | None = None,
        pressure_MPa: float | None = None,
        beads: int | None = None,
        structure: str | None = None,
        checkpoint: Path | None = None,
        masses_amu: Sequence[float] | None = None,
        fixed: Collection[int] = (),
        fixcom: bool | None = None,
        outputs: Outputs | None = None,
    ) -> IpiInput:
        """The same input with some facts changed, in all of its systems.

        Args:
            attributes: of ``<simulation>``: ``sockets_prefix``, ``safe_stride`` and so on.
            total_steps: outer steps in all.
            seed: of everything random.
            timestep_fs: the outer step.
            nmts: steps at each level; none for a single level.
            ensemble: ``nve``, ``nvt`` and so on; nothing stays of the dynamics but the steps.
            thermostat: of the atoms; without ``ensemble`` all else of the dynamics stays.
            temperature_K: aimed at, and of thermal velocities.
            pressure_MPa: from outside.
            beads: of each system.
            structure: a file for ASE to begin from.
            checkpoint: a RESTART whose positions and cell to begin from, with new velocities.
            masses_amu: of the atoms, instead of those that i-PI knows.
            fixed: coordinates that stand still, as :attr:`System.fixed_coordinates` gives them.
            fixcom: whether the centre of mass does not move.
            outputs: what to write.

        Raises:
            InputError: if it has nothing that could be changed so.
        """
        root = copy.deepcopy(self._root)
        root.attrib.update(attributes or {})
        if total_steps is not None:
            changes.set_total_steps(root, total_steps)
        if seed is not None:
            changes.set_seed(root, seed)
        if outputs is not None:
            changes.set_outputs(root, outputs)
        if ensemble is not None:
            changes.set_ensemble(root, ensemble, thermostat)
        elif thermostat is not None:
            changes.set_thermostat(root, thermostat)
        if temperature_K is not None:
            changes.set_temperature(root, temperature_K)
        if pressure_MPa is not None:
            changes.set_pressure(root, pressure_MPa)
        if timestep_fs is not None:
            changes.set_timestep(root, timestep_fs)
        if nmts is not None:
            changes.set_levels(root, nmts)
        if beads is not None:
            changes.set_beads(root, beads)
        if structure is not None:
            changes.set_structure(root, structure)
        if checkpoint is not None:
            changes.set_checkpoint(root, checkpoint, self.ensemble.temperature_K)
        if masses_amu is not None:
            changes.set_masses(root, masses_amu)
        if fixed:
            changes.set_fixed(root, fixed)
        if fixcom is not None:
            changes.set_fixcom(root, fixcom)
        return IpiInput(root, self.path)

    def replace_socket(
        self,
        name: str,
        *,
        parameters: Mapping[str, str] | None = None,
        unix_name: str | None = None,
        batch_size: int | None = None,
        latency_s: float | None = None,
    ) -> IpiInput:
        """The same input with another socket of that name.

        Args:
            name: of the ``<ffsocket>``.
            parameters: all of them.
            unix_name: makes it a unix socket of that name.
            batch_size: structures in a request.
            latency_s: that i-PI waits between two looks at its requests.
        """
        root = copy.deepcopy(self._root)
        changes.set_socket(root, name, parameters, unix_name, batch_size, latency_s)
        return IpiInput(root, self.path)

    def replace_socket_by_direct(
        self, name: str, pes: str, parameters: Mapping[str, str], batch_size: int
    ) -> IpiInput:
        """The same input with an ``<ffdirect>`` instead of a socket: i-PI computes it by itself."""
        root = copy.deepcopy(self._root)
        changes.set_direct(root, name, pes, parameters, batch_size)
        return IpiInput(root, self.path)

    def changed_by(
        self,
        change: Callable[Concatenate[Element, Given], None],
        *given: Given.args,
        **named: Given.kwargs,
    ) -> IpiInput:
        """The same input after a change of :mod:`halfkick.driver.ipi.serving`.

        Args:
            change: called with ``<simulation>`` and what it is given.
            *given: for it.
            **named: for it.
        """
        root = copy.deepcopy(self._root)
        change(root, *given, **named)
        return IpiInput(root, self.path)

    def with_one_force_field(self, name: str) -> IpiInput:
        """The same input with one of its sockets alone, in full and at a single level."""
        root = copy.deepcopy(self._root)
        changes.keep_one_force_field(root, name, [s.forcefield for s in self.sockets])
        return IpiInput(root, self.path)

    def with_thermostat_of(self, other: IpiInput) -> IpiInput:
        """The same input with the thermostat of another one, as it stands there."""
        return self.changed_by(changes.set_thermostat_of, other._root)

    def with_absolute_paths(self) -> IpiInput:
        """The same input with the files that it names made absolute: it can stand anywhere."""
        root = copy.deepcopy(self._root)
        changes.make_paths_absolute(root, self.folder.resolve())
        return IpiInput(root, self.path)

    def laid_out_as(self, text: str) -> str:
        """The XML as it stands in ``text``, of which it was made, wherever it says the same."""
        return laid_out_as(text, self._root)

    @property
    def text(self) -> str:
        """The XML."""
        return ElementTree.tostring(self._root, encoding="us-ascii").decode("ascii") + "\n"

    def write(self, path: Path) -> Path:
        """Write it; a file that holds it already stays untouched."""
        if not path.is_file() or path.read_text() != self.text:
            path.write_text(self.text)
        return path
