"""Structures from files that ASE reads."""

from __future__ import annotations

import io
import re
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from .base import ForceModel, Inputs, Structure
from .charge import check_inputs, read_inputs
from .errors import DataError

__all__ = ["inputs_of", "read_frames", "read_frames_for", "structure_of", "tell"]


XYZ = (".xyz", ".extxyz")
STAND_INS = {"D": ("Og", 2.01410178), "T": ("Ts", 3.01604928)}
"""Of isotopes of hydrogen: an element for each while ASE reads, and its mass, amu (AME2020)."""


def read_frames(source: str | Path, index: str | None = None) -> list[Atoms]:
    """Read frames of a file; deuterium and tritium (D, T) are hydrogen with masses of their own.

    Args:
        source: ``FILE``, or ``FILE@INDEX`` as ASE understands it.
        index: frames to take, as ASE writes slices (``:`` for all). ``None`` takes those that
            ``source`` names, or the last one.

    Raises:
        DataError: if ASE cannot read it, or there is no frame in it.
    """
    from ase.io import read

    try:
        frames = read(source, index=index)
    except Exception as error:  # ASE's readers raise anything
        if (found := _read_isotopes(str(source), index)) is not None:
            return found
        why = str(error) or type(error).__name__
        raise DataError(
            f"expected structures that ASE reads in '{source}', got {why}; name another file"
        ) from error
    frames = frames if isinstance(frames, list) else [frames]
    if not frames:
        raise DataError(f"expected at least one frame in '{source}', got none; choose others")
    return frames


def _read_isotopes(source: str, index: str | None) -> list[Atoms] | None:
    """Frames of an xyz with labels D or T, which ASE does not read; ``None`` if it has none."""
    from ase.io import read

    name, _, own_index = source.partition("@")
    path = Path(name)
    if path.suffix not in XYZ or not path.is_file():
        return None
    text = path.read_text(errors="replace")
    label = re.compile(r"^(\s*)([DT])(?=\s)", re.MULTILINE)
    relabelled = label.sub(lambda m: m[1] + STAND_INS[m[2]][0], text)
    if relabelled == text:
        return None
    try:
        found = read(io.StringIO(relabelled), index=index or own_index or "-1", format="extxyz")
    except Exception:  # something else is wrong, too, of which the first error tells
        return None
    frames = found if isinstance(found, list) else [found]
    for atoms in frames:
        _name_isotopes(atoms)
    return frames


def _name_isotopes(atoms: Atoms) -> None:
    """Make hydrogen of the elements that stand for its isotopes."""
    masses = atoms.get_masses()
    for stand_in, mass in STAND_INS.values():
        chosen = atoms.symbols == stand_in
        masses[chosen] = mass
        atoms.numbers[chosen] = 1
    atoms.set_masses(masses)


def read_frames_for(
    source: str | Path, index: str | None = None, *, models: Sequence[ForceModel]
) -> list[Atoms]:
    """Read frames that models are to compute.

    Args:
        source: ``FILE``, or ``FILE@INDEX``, as for :func:`read_frames`.
        index: frames to take, likewise.
        models: what will compute them.

    Raises:
        DataError: as :func:`read_frames`, and if a frame has a charge or a spin that a model does
            not compute with.
    """
    frames = read_frames(source, index)
    for frame in frames:
        for model in models:
            check_inputs(str(source), inputs_of(frame), model.name, model.capabilities)
    return frames


def inputs_of(atoms: Atoms) -> Inputs:
    """What a frame says besides species, positions and cell."""
    return read_inputs(atoms.symbols, atoms.info, atoms.arrays)


def tell(atoms: Atoms, inputs: Inputs) -> Atoms:
    """Write inputs into a frame, as far as an extended xyz holds them; return it."""
    kinds = str, int, float, np.integer, np.floating
    atoms.info |= {key: v for key, v in inputs.info.items() if isinstance(v, kinds)}
    atoms.arrays.update({key: v for key, v in inputs.arrays.items() if v.ndim == 1})
    return atoms


def structure_of(atoms: Atoms, slot: Hashable = None) -> Structure:
    """Return a frame as a structure for a model; in a slot, if it resembles those before it."""
    return Structure(
        atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, slot, inputs_of(atoms)
    )
