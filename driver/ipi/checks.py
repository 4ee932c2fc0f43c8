"""What i-PI would accept and compute wrongly: refused before anything is moved or started.

Each check looks at the input and at the files it names, and says in one line what is wrong and
what to do. What i-PI does in each case was seen with i-PI 3.3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...models.base import Capabilities, Inputs
from ...models.charge import check_inputs, untold
from ...models.labels import element
from ...models.registry import kind_of
from ...models.spec import ModelSpec
from ..errors import InputError
from .flash import FlashInput
from .forces import force_field_without_energy
from .initial_state import Start, StructureFiles
from .input import IpiInput
from .inputs import inputs_of
from .sockets import Socket
from .structures import Frame, Vectors
from .system import System

__all__ = ["check_input"]

TRIANGULAR = 1e-6
"""Up to this part of the largest number in it, a cell counts as upper triangular."""
UNSEEN_UNIT = re.compile(r"(?:velocities|momenta)\{[^}]*[^A-Za-z_}][^}]*\}")
"""i-PI 3.3.1 does not see such a unit in the comment of an xyz file, and takes atomic ones."""

NEEDS_FORCES = re.compile("force|vir|press|stress")
"""In names of i-PI's outputs."""

TAKEN_FOR_VELOCITIES = ("momenta", "velocities", "velo")


def check_input(source: IpiInput, folder: Path, *, alone: bool = False) -> None:
    """Refuse an input that i-PI or the driver would compute wrongly.

    Args:
        source: an input or RESTART.
        folder: from which i-PI and the driver name files.
        alone: whether i-PI runs elsewhere, and what it starts from may not be here.

    Raises:
        InputError, DataError: which says what is wrong.
    """
    files = StructureFiles(folder)
    _check_energies(source)
    if source.flash is not None:
        _check_flash(source, source.flash, None if alone else folder)
    for system in source.systems:
        _check_strides(system)
        missing = [name for name in system.files if not (folder / name).is_file()]
        if missing and not alone:
            raise InputError(
                f"expected the file '{missing[0]}' that the input names, found no such file in "
                f"'{folder}'; put it there or correct the name"
            )
        start = None if missing else Start(system, files)
        if start is not None:
            _check_frames(system, start)
            _check_velocities(system, start)
            if system.initials or system.cell:  # i-PI says itself that it has no start
                _check_cell(start)
        for socket in _served(source, system):
            _check_template(system, socket, start, files)


def _check_flash(source: IpiInput, flash: FlashInput, folder: Path | None) -> None:
    """Refuse a network that is not there, and outputs of forces where there are none."""
    for item in source.outputs.of_kind("properties", "trajectory"):
        for name in filter(NEEDS_FORCES.search, item.quantities):
            raise InputError(
                f"expected outputs that need no forces, which are zero where a network moves the "
                f"atoms, got '{name}'; leave it out of <output>"
            )
    if folder is not None and not (folder / flash.flash).is_file():
        raise InputError(
            f"expected the network '{flash.flash}' that the input names, found no such file in "
            f"'{folder}'; train it with halfkick flash train, or correct the name"
        )


def _served(source: IpiInput, system: System) -> Iterator[Socket]:
    """The sockets of the driver whose forces act on a system."""
    for socket in source.sockets:
        if socket.forcefield in system.force_fields and "model" in (socket.parameters or {}):
            yield socket


def _check_energies(source: IpiInput) -> None:
    for system in source.systems:
        lacking = force_field_without_energy(source.sockets, [(system.beads, system.forces)])
        modes = [motion.mode for motion in system.motions if motion.uses_energy]
        user = "replica exchange" if source.exchanges_replicas else next(iter(modes), None)
        if lacking is not None and user is not None:
            raise InputError(
                f"expected energies for {user}, got the direct forces of '{lacking}', with which "
                f"zero is sent; write energy: model among its <parameters>"
            )


def _check_strides(system: System) -> None:
    for motion in system.motions:
        if motion.stride_fault is not None:
            raise InputError(
                f"expected a single level in <motion mode='{motion.mode}'>, got <nmts> that i-PI "
                f"takes wrongly: it {motion.stride_fault}; leave out <nmts>, and one of the forces"
            )


def _check_frames(system: System, start: Start) -> None:
    for initial, frames in start.frames:
        if initial.tag not in ("file", "positions") or initial.mode == "chk":
            continue
        isotopes = {"D", "T"} & {label for frame in frames for label in frame.labels}
        if isotopes and initial.mode == "ase":
            raise InputError(
                f"expected labels that i-PI reads by mode='ase' in '{initial.value}', got "
                f"{', '.join(sorted(isotopes))}, which ends it; write it as an xyz of i-PI and "
                f"mode='xyz', or let halfkick init write H and <masses>"
            )
        wanted = 1 if initial.is_partial else system.beads
        if len(frames) not in (1, wanted):
            beads = f" or {wanted}, one for each bead," if wanted > 1 else ""
            raise InputError(
                f"expected one frame{beads} in '{initial.value}', got {len(frames)}, from which "
                f"i-PI would interpolate (one bead starts from their average); leave those to "
                f"start from in the file"
            )


def _check_velocities(system: System, start: Start) -> None:
    positions = {i.value for i in system.initials if i.tag in ("file", "positions")}
    for initial, frames in start.frames:
        if initial.tag not in ("velocities", "momenta") or initial.mode == "chk":
            continue
        unseen = UNSEEN_UNIT.search(frames[0].comment) if initial.mode == "xyz" else None
        if unseen is not None and not initial.units:
            raise InputError(
                f"expected units that i-PI reads in the comment of '{initial.value}', got "
                f"{unseen[0]}, for which it takes atomic units; write them as units= in "
                f"<{initial.tag}>"
            )
        named = {column for frame in frames for column in frame.columns}
        ase = initial.mode == "ase" and named & set(TAKEN_FOR_VELOCITIES)
        if ase or initial.value in positions:
            raise InputError(
                f"expected {initial.tag} in <{initial.tag} mode='{initial.mode}'>, got "
                f"'{initial.value}', of which i-PI takes the positions for them; write mode="
                f"'thermal' and a temperature, or mode='manual' and all numbers"
            )


def _check_cell(start: Start) -> None:
    cell, where = start.cell
    if cell is None:
        raise InputError(
            f"expected a cell in {where}, got none, without which i-PI cannot start; write "
            f"Lattice= into an extended xyz, or <cell> into <initialize>"
        )
    below = np.abs(cell[[1, 2, 2], [0, 0, 1]]).max()
    if below > TRIANGULAR * np.abs(cell).max():
        raise InputError(
            f"expected a in the direction of x and b in the xy plane in {where}, got other cell "
            f"vectors, which i-PI does not turn there and whose volume it gets wrong; turn cell "
            f"and atoms (in ASE: atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True))"
        )
    if _volume(cell) == 0.0:
        raise InputError(f"expected a cell with a volume in {where}, got none; give all vectors")
    if _volume(cell) < 0.0:
        raise InputError(
            f"expected right-handed cell vectors a, b, c in {where}, got left-handed ones, whose "
            f"volume is negative in i-PI; write them in the order b, a, c and leave the atoms"
        )


def _volume(cell: Vectors) -> float:
    """As i-PI has it."""
    return float(np.prod(np.diag(cell)))


def _check_template(
    system: System, socket: Socket, start: Start | None, files: StructureFiles
) -> None:
    parameters = socket.parameters or {}
    name = parameters.get("template", "")
    if not name:
        return  # the driver says what is missing
    frame = files.read(name)[-1]
    spec = ModelSpec.parse(parameters["model"])
    inputs = inputs_of(frame, parameters)
    known = untold(spec, files.folder)
    check_inputs(name, inputs, str(spec), known)
    if start is not None:
        _check_charge_and_spin(name, inputs, spec, known, start)
    _check_periodicity(system, socket, name, frame, spec)
    if start is not None:
        _check_atoms(socket, name, frame, start)


def _check_charge_and_spin(
    name: str, inputs: Inputs, spec: ModelSpec, known: Capabilities, start: Start
) -> None:
    """Compare what the start file says with what the model is told."""
    for initial, frames in start.frames:
        if initial.mode != "ase" or initial.tag != "file" or initial.value == name:
            continue
        said = inputs_of(frames[-1])
        check_inputs(initial.value, said, str(spec), known)
        for what, other, own, without in (
            ("charge", said.charge, inputs.charge, known.charges),
            ("spin", said.spin, inputs.spin, known.spins),
        ):
            if other is None or (other in without if own is None else other == own):
                continue
            raise InputError(
                f"expected {what}={other:g} of '{initial.value}', from which i-PI starts, in "
                f"template '{name}', got {'none' if own is None else f'{own:g}'}; make the "
                f"template from the start, or write {what}: {other:g} into <parameters>"
            )


def _check_periodicity(
    system: System, socket: Socket, name: str, frame: Frame, spec: ModelSpec
) -> None:
    periodic = frame.periodic
    if all(periodic):
        return
    pbc = " ".join("FT"[is_periodic] for is_periodic in periodic)
    if any(motion.needs_virial for motion in system.motions):
        raise InputError(
            f"expected a template periodic in three directions where the cell moves, got pbc "
            f"{pbc} in '{name}'; keep the volume, or write pbc=\"T T T\" into it"
        )
    if socket.wraps:
        raise InputError(
            f"expected pbc='false' in <ffsocket name='{socket.name}'>, got pbc='true', with which "
            f"i-PI puts each atom into the cell and cuts what is not periodic (pbc {pbc} in "
            f"'{name}'); write pbc='false'"
        )
    if any(periodic) and not kind_of(spec).mixed_periodicity:
        raise InputError(
            f"expected a template periodic in all directions or none for '{spec}', got pbc {pbc} "
            f"in '{name}', which it takes for T T T; make it periodic with a vacuum"
        )


def _check_atoms(socket: Socket, name: str, frame: Frame, start: Start) -> None:
    """Compare the atoms that i-PI sends with those that the model takes them for."""
    all_labels, where = start.labels
    if not all_labels or (socket.active and max(socket.active) >= len(all_labels)):
        return
    labels = [all_labels[i] for i in socket.active] if socket.active else list(all_labels)
    if socket.photons:
        labels = labels[: len(frame.labels)]
    if len(labels) != len(frame.labels):
        raise InputError(
            f"expected the {len(labels)} atoms that i-PI starts from ({where}) in template "
            f"'{name}', got {len(frame.labels)}; make the template from the start"
        )
    for index, (own, other) in enumerate(zip(labels, frame.labels, strict=True)):
        if element(own) != element(other):
            raise InputError(
                f"expected the order of atoms in {where}, from which i-PI starts, in template "
                f"'{name}', got {other} for atom {index + 1}, which is {own}; make the template "
                f"from the start"
            )
