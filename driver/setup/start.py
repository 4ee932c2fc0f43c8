"""The structure that a run begins from: read from any file, put into the form that i-PI needs."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian
from ase.data import atomic_masses, atomic_numbers
from ase.io import string2index
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ...models.charge import check_inputs, untold
from ...models.errors import DataError
from ...models.frames import inputs_of, read_frames
from ...models.labels import element
from ...models.spec import ModelSpec
from ..errors import InputError
from ..ipi.units import unit_factor
from .cell import into_ipi_form

__all__ = ["Start", "read_as_ipi", "read_start"]

XYZ = (".xyz", ".extxyz")
TOO_NEAR = 0.4  # Å: nearer than any two atoms are
BOHR = 0.529177210903  # Å
MASS_ROUNDING = 1e-4  # amu


@dataclass(frozen=True, eq=False)
class Start:
    """Where a run begins.

    Attributes:
        atoms: in a cell as i-PI writes it down.
        masses_amu: shape (N,), where they are not those of the elements.
        fixed: coordinates that stand still: 3 times the index of an atom, plus 0, 1, 2.
        notes: what was done to the file's structure.
    """

    atoms: Atoms
    masses_amu: NDArray[np.float64] | None = None
    fixed: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list)


def read_start(source: str, model: ModelSpec) -> Start:
    """Read a structure.

    Args:
        source: ``FILE``, of which the last frame counts, or ``FILE@INDEX``.
        model: what will compute it, if it is charged or magnetic.

    Raises:
        DataError: if there is no structure in it that a run could begin from.
    """
    frames = _read(source)
    atoms, notes = frames[-1], []
    if len(frames) > 1:
        notes.append(f"frame {len(frames) - 1} of {len(frames)}, the last (others: FILE@INDEX)")
    masses = _masses(atoms)
    if masses is not None:
        notes.append(f"masses: {_named(atoms, masses)} amu, not those of the elements")
    fixed = _fixed(atoms)
    if fixed:
        notes.append(f"{len({c // 3 for c in fixed})} atoms are fixed, as in the file")
    _refuse_unusable(source, atoms)
    check_inputs(source, inputs_of(atoms), str(model), untold(model, Path()))
    atoms, more = into_ipi_form(atoms)
    return Start(atoms, masses, fixed, notes + more)


def _read(source: str) -> list[Atoms]:
    """All frames of a file, or the one that is named; D and T are hydrogen of other masses."""
    path, _, index = source.partition("@")
    if (frames := _read_ipi(Path(path))) is not None:
        wanted = string2index(index or ":")
        chosen = frames[wanted if isinstance(wanted, slice) else slice(int(wanted), None)]
        if not chosen:
            raise DataError(
                f"expected a frame in '{source}', got {len(frames)} in all; name another"
            )
        return chosen if isinstance(wanted, slice) else chosen[:1]
    return read_frames(source, None if index else ":")


def _read_ipi(path: Path) -> list[Atoms] | None:
    """The frames of an xyz as i-PI writes it, with cell and units in its comment; else ``None``."""
    if path.suffix not in XYZ or not path.is_file():
        return None
    with path.open(errors="replace") as file:
        if "# CELL" not in f"{file.readline()}{file.readline()}":
            return None
    return read_as_ipi(path, "xyz")


def read_as_ipi(path: Path, mode: str) -> list[Atoms]:
    """All frames as i-PI reads them in a mode: ``xyz``, ``pdb`` or ``ase``; periodic all of them.

    Raises:
        DataError: if i-PI cannot.
    """
    from ipi.utils.io import read_file

    frames: list[Atoms] = []
    with path.open() as file, contextlib.redirect_stdout(io.StringIO()):
        while True:
            try:
                frame_read = read_file(mode, file)
            except EOFError:
                return frames
            except Exception as error:  # i-PI's readers raise anything
                raise DataError(
                    f"expected a structure that i-PI reads as {mode} in '{path}', got "
                    f"{type(error).__name__}: {error}; mend the file"
                ) from error
            atoms, cell = frame_read["atoms"], frame_read["cell"].h.T * BOHR
            names = [str(name) for name in atoms.names]
            known = [e if e in atomic_numbers else "X" for e in map(element, names)]
            frame = Atoms(known, np.array(atoms.q).reshape(-1, 3) * BOHR, cell=cell, pbc=True)
            isotope = np.array(names) != np.array(known)
            masses = np.array(atoms.m) * unit_factor("mass", "", "dalton")
            frame.set_masses(np.where(isotope, masses, frame.get_masses()))
            frames.append(frame)


def _masses(atoms: Atoms) -> NDArray[np.float64] | None:
    """Masses, where the file has its own."""
    if "mass" in atoms.arrays:  # what some programs call the column
        atoms.set_masses(atoms.arrays["mass"])
    masses = np.asarray(atoms.get_masses(), np.float64)
    usual = np.abs(masses - atomic_masses[atoms.numbers]) < MASS_ROUNDING
    return None if usual.all() else masses


def _named(atoms: Atoms, masses: NDArray[np.float64]) -> str:
    other = np.abs(masses - atomic_masses[atoms.numbers]) >= MASS_ROUNDING
    kinds = sorted({(atoms.symbols[i], round(float(masses[i]), 4)) for i in np.flatnonzero(other)})
    return ", ".join(f"{symbol} {mass:g}" for symbol, mass in kinds[:4])


def _fixed(atoms: Atoms) -> tuple[int, ...]:
    """Coordinates that the file's constraints hold.

    Raises:
        InputError: if it has others than i-PI knows.
    """
    held: set[int] = set()
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            held |= {3 * int(i) + axis for i in constraint.index for axis in range(3)}
        elif isinstance(constraint, FixCartesian):
            axes = np.flatnonzero(np.asarray(constraint.mask))
            held |= {3 * int(i) + int(axis) for i in constraint.index for axis in axes}
        else:
            raise InputError(
                f"expected fixed atoms or coordinates as constraints, got "
                f"{type(constraint).__name__}, which i-PI does not have; remove it from the file"
            )
    atoms.set_constraint()
    return tuple(sorted(held))


def _refuse_unusable(source: str, atoms: Atoms) -> None:
    """Raise DataError for what cannot be a structure."""
    if not len(atoms):
        raise DataError(f"expected atoms in '{source}', got none; name another file or frame")
    if not np.isfinite(atoms.positions).all():
        raise DataError(f"expected finite positions in '{source}', got others; mend the file")
    if (atoms.numbers == 0).any():
        raise DataError(
            f"expected elements in '{source}', got atoms without one; give them their symbols"
        )
    i, j, distance = neighbor_list("ijd", atoms, TOO_NEAR)
    if len(i):
        raise DataError(
            f"expected atoms apart in '{source}', got {distance.min():.2f} Å between atoms "
            f"{i[distance.argmin()]} and {j[distance.argmin()]}; remove doubled or partly occupied "
            f"ones"
        )
