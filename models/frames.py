"""Structures from files that ASE reads."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path

from ase import Atoms

from .base import ForceModel, Inputs, Structure
from .charge import check_inputs, read_inputs
from .errors import DataError

__all__ = ["inputs_of", "read_frames", "read_frames_for", "structure_of"]


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


def structure_of(atoms: Atoms, slot: Hashable = None) -> Structure:
    """Return a frame as a structure for a model; in a slot, if it resembles those before it."""
    return Structure(
        atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, slot, inputs_of(atoms)
    )
