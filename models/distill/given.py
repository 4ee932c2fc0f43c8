"""What the user gives: structures to begin from, and frames that are labelled already."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ..errors import DataError
from .sample import Force
from .store import Store, rounded

__all__ = ["read_structures", "take_labels"]

log = logging.getLogger(__name__)

SAME_FORCE = 0.05
"""eV/Å: labels that are farther from the teacher than this are not the teacher's."""


def read_structures(paths: Sequence[Path]) -> list[Atoms]:
    """All frames of some files; a DataError names one that ASE cannot read."""
    frames = []
    for path in paths:
        try:
            frames += ase.io.read(path, ":")
        except Exception as error:  # ASE's readers raise anything
            raise DataError(
                f"expected structures that ASE reads in '{path}', got {error}"
            ) from error
    if not frames:
        raise DataError("expected at least one structure to begin from, got none; name a file")
    return frames


def take_labels(path: Path, store: Store, teacher: Force) -> None:
    """Add frames that the teacher has labelled before, after a look whether it was this teacher.

    One frame of each composition is computed anew. Energies may differ by a constant of each
    composition, which is then made the teacher's.

    Raises:
        DataError: if frames have no forces, or not those of the teacher.
    """
    shifts: dict[str, float] = {}
    frames = []
    for place, atoms in enumerate(read_structures([path])):
        if atoms.calc is None or "forces" not in atoms.calc.results:
            raise DataError(
                f"expected forces under the key 'forces' in '{path}', frame {place} has none; "
                f"rename them or leave the frame out"
            )
        atoms.positions, atoms.cell[:] = rounded(atoms.positions), rounded(atoms.cell.array)
        atoms.calc = SinglePointCalculator(atoms, **atoms.calc.results)  # holds for these positions
        if atoms in store:
            continue
        kind = atoms.get_chemical_formula()
        if kind not in shifts:
            shifts[kind] = _shift(atoms, teacher, f"'{path}', frame {place}")
        if "energy" in atoms.calc.results:
            atoms.calc.results["energy"] += shifts[kind]
        atoms.info["given"] = True
        frames.append(atoms)
    store.add(frames)
    log.info("took %d labelled frames from %s", len(frames), path)


def _shift(atoms: Atoms, teacher: Force, where: str) -> float:
    """What to add to the energy of a labelled frame so that it is the teacher's, eV."""
    walker = atoms.copy()
    walker.info["walker"] = -1
    (result,) = teacher(walker, atoms.positions[None])
    apart = float(np.sqrt(np.mean((result.forces - atoms.get_forces()) ** 2)))
    if apart > SAME_FORCE:
        raise DataError(
            f"expected labels of the teacher in {where}, got forces that differ by "
            f"{1e3 * apart:.0f} meV/Å RMSE; give labels of the same model and settings"
        )
    energy = atoms.calc.results.get("energy")
    return 0.0 if energy is None else result.energy - energy
