"""The atoms that a system starts from, as i-PI reads them: how many, their labels, their masses."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .elements import attribute, numbers, strings, text_of, whole_number
from .units import unit_factor

__all__ = ["StartAtoms", "count_atoms", "count_in_file", "masses_in_input", "read_start"]

log = logging.getLogger(__name__)

T = TypeVar("T")
Value = TypeVar("Value", np.str_, np.float64)

XYZ = (".xyz", ".extxyz")


@dataclass(frozen=True, eq=False)
class StartAtoms:
    """The atoms of a system.

    Attributes:
        labels: what i-PI calls each, which need not be an element: ``D``, ``C13``.
        masses_amu: shape (N,).
    """

    labels: Sequence[str]
    masses_amu: NDArray[np.float64]


def count_atoms(system: Element, folder: Path) -> int | None:
    """Atoms of a ``<system>``, without ASE where a file says it; ``None`` if none can be read.

    Args:
        system: the element.
        folder: from which its files are named.
    """
    for child in _initializers(system, "file", "positions"):
        if count := _attempt(partial(_count, child, system, folder)):
            return count
    beads = system.find("beads")
    return None if beads is None else _attempt(partial(_count_in, beads)) or None


def read_start(system: Element, folder: Path) -> StartAtoms | None:
    """Labels and masses of a ``<system>``; ``None`` where they cannot be read.

    What stands further down in ``<initialize>`` replaces what is above, and all of it what stands
    in ``<beads>``, as in i-PI.

    Args:
        system: the element.
        folder: from which its files are named.
    """
    return _attempt(partial(_read, system, folder))


def masses_in_input(system: Element) -> NDArray[np.float64] | None:
    """Masses that stand in a ``<system>`` itself, shape (N,), amu; ``None`` if none do.

    No file is read; i-PI may take other masses from the files that it names.
    """
    for child in _initializers(system, "masses"):
        if _mode(child) == "manual":
            return _values(child, Path())[1]
    beads = system.find("beads")
    return None if beads is None else _of_beads(beads)[1]


def count_in_file(path: Path) -> int:
    """How many atoms a structure has; an xyz file says so without ASE, slow to import."""
    if path.suffix in XYZ:
        with path.open() as file:
            return int(file.readline())
    from ase.io import read

    return len(read(path))


def _attempt(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Exception as error:  # readers raise anything; i-PI, or the driver, will say so
        log.info("cannot read the atoms that i-PI starts from: %s", error)
        return None


def _initializers(system: Element, *tags: str) -> Iterator[Element]:
    return (child for child in system.iterfind("initialize/*") if child.tag in tags)


def _mode(child: Element) -> str:
    return attribute(child, "mode", "chk")


def _count(child: Element, system: Element, folder: Path) -> int:
    if _mode(child) == "manual":
        initialize = system.find("initialize")
        one = attribute(child, "bead", "-1") != "-1"
        beads = 1 if initialize is None or one else int(attribute(initialize, "nbeads", "1"))
        return len(numbers(child.text or "", float, f"<{child.tag}>")) // (3 * beads)
    path = _file(child, folder)
    if _mode(child) == "chk":
        return _count_in(_beads_of(path))
    if _mode(child) == "pdb":
        with path.open() as file:
            return sum(line.startswith(("ATOM", "HETATM")) for line in _first_of_pdb(file))
    return count_in_file(path)


def _count_in(beads: Element) -> int:
    return whole_number(attribute(beads, "natoms", "0"), "natoms of <beads>")


def _file(child: Element, folder: Path) -> Path:
    return folder / (child.text or "").strip()


def _first_of_pdb(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line.startswith("END"):
            return
        yield line


def _beads_of(checkpoint: Path) -> Element:
    """The ``<beads>`` of a checkpoint's first system, from which i-PI starts."""
    with checkpoint.open("rb") as file:
        for _, element in ElementTree.iterparse(file):
            if element.tag == "beads":
                return element
    raise InputError(f"expected <beads> in the checkpoint '{checkpoint}', got none")


def _read(system: Element, folder: Path) -> StartAtoms:
    labels: NDArray[np.str_] = np.array([], dtype=str)
    masses: NDArray[np.float64] = np.array([])
    beads = system.find("beads")
    if beads is not None:
        labels, masses = _of_beads(beads)
    for child in _initializers(system, "file", "labels", "masses"):
        new_labels, new_masses = _values(child, folder)
        index = whole_number(attribute(child, "index", "-1"), f"index of <{child.tag}>")
        if child.tag in ("file", "labels"):
            labels = _placed(labels, new_labels, index)
        if child.tag in ("file", "masses"):
            masses = _placed(masses, new_masses, index)
    known = int((masses > 0.0).sum())
    if not len(labels) or len(labels) != known:
        raise InputError(f"expected masses of all {len(labels)} atoms, got {known}")
    return StartAtoms(labels.tolist(), masses)


def _placed(before: NDArray[Value], new: NDArray[Value], index: int) -> NDArray[Value]:
    """The values before, all or one of them replaced; a single new one is that of all atoms."""
    if index < 0:
        return np.broadcast_to(new, before.shape) if len(new) == 1 and len(before) else new
    placed = before.astype(np.result_type(before, new))
    placed[index : index + 1] = new
    return placed


def _of_beads(beads: Element) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    m = beads.find("m")
    masses = numbers("" if m is None else m.text or "", float, "<m>")
    factor = unit_factor("mass", "" if m is None else attribute(m, "units"), "dalton")
    return np.array(strings(text_of(beads, "names"))), np.array(masses) * factor


def _values(child: Element, folder: Path) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """Labels and masses that a child of ``<initialize>`` gives; manual ones are of its own kind."""
    mode = _mode(child)
    if mode == "manual":
        given = np.array(strings(child.text or ""))
        if child.tag == "labels":
            return given, np.array([])
        masses = np.array(numbers(child.text or "", float, "<masses>"))
        return given, masses * unit_factor("mass", attribute(child, "units"), "dalton")
    if mode == "chk":
        return _of_beads(_beads_of(_file(child, folder)))
    return _of_file(mode, _file(child, folder))


def _of_file(mode: str, path: Path) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """What i-PI's own readers make of a structure, of the last frame where there are several."""
    from ipi.utils.io import read_file

    atoms = None
    with path.open() as file, redirect_stdout(io.StringIO()):  # it tells of unknown labels
        while True:
            try:
                atoms = read_file(mode, file, dimension="length")["atoms"]
            except EOFError:
                break
    if atoms is None:
        raise InputError(f"expected a structure in '{path}', got none")
    return np.array(atoms.names), np.array(atoms.m) * unit_factor("mass", "", "dalton")
