"""Structures from files that ASE reads."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path

from ase import Atoms

from .base import Structure
from .charge import check_charge_and_spin
from .errors import DataError
from .spec import ModelSpec

__all__ = ["read_frames", "read_neutral_frames", "structure_of"]


def read_frames(source: str | Path, index: str | None = None) -> list[Atoms]:
    """Read frames of a file.

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
        why = str(error) or type(error).__name__
        raise DataError(
            f"expected structures that ASE reads in '{source}', got {why}; name another file"
        ) from error
    frames = frames if isinstance(frames, list) else [frames]
    if not frames:
        raise DataError(f"expected at least one frame in '{source}', got none; choose others")
    return frames


def read_neutral_frames(
    source: str | Path, index: str | None = None, *, models: Sequence[str] = ()
) -> list[Atoms]:
    """Read frames that models are to compute, which are told of no charge and no spin.

    Args:
        source: ``FILE``, or ``FILE@INDEX``, as for :func:`read_frames`.
        index: frames to take, likewise.
        models: their names, whose options may say charge and multiplicity.

    Raises:
        DataError: as :func:`read_frames`, and if a frame is charged or has unpaired spins.
    """
    frames = read_frames(source, index)
    for options in [ModelSpec.parse(model).options for model in models] or [{}]:
        for frame in frames:
            check_charge_and_spin(str(source), frame.symbols, frame.info, frame.arrays, options)
    return frames


def structure_of(atoms: Atoms, slot: Hashable = None) -> Structure:
    """Return a frame as a structure for a model; in a slot, if it resembles those before it."""
    return Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, slot)
