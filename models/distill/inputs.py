"""Input of a distillation: structures to begin from, and frames that are labelled already."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ..errors import DataError
from ..frames import read_frames
from ..statistics import rms
from .sample import ServedForce
from .store import SUPPLIED, Store, rounded

__all__ = ["read_starts", "take_labels"]

log = logging.getLogger(__name__)

SAME_FORCE = 0.05
"""eV/Å: labels that are farther from the teacher than this are not the teacher's."""


def read_starts(paths: Sequence[Path]) -> list[Atoms]:
    """All frames of some files; a DataError names one that ASE cannot read."""
    frames = [frame for path in paths for frame in read_frames(path, ":")]
    if not frames:
        raise DataError("expected at least one structure to begin from, got none; name a file")
    return frames


def take_labels(path: Path, store: Store, teacher: ServedForce) -> None:
    """Add frames that the teacher has labelled before, after a look whether it was this teacher.

    One frame of each composition is computed anew. Energies may differ by a constant of each
    composition, which is then made the teacher's.

    Raises:
        DataError: if frames have no forces, or not those of the teacher.
    """
    shifts: dict[str, float] = {}
    frames = []
    for index, atoms in enumerate(read_frames(path, ":")):
        if atoms.calc is None or "forces" not in atoms.calc.results:
            raise DataError(
                f"expected forces under the key 'forces' in '{path}', frame {index} has none; "
                f"rename them or leave the frame out"
            )
        atoms.positions, atoms.cell[:] = rounded(atoms.positions), rounded(atoms.cell.array)
        atoms.calc = SinglePointCalculator(atoms, **atoms.calc.results)  # holds for these positions
        if atoms in store:
            continue
        formula = atoms.get_chemical_formula()
        if formula not in shifts:
            shifts[formula] = _shift(atoms, teacher, f"'{path}', frame {index}")
        if "energy" in atoms.calc.results:
            atoms.calc.results["energy"] += shifts[formula]
        atoms.info[SUPPLIED] = True
        frames.append(atoms)
    store.add(frames)
    log.info("took %d labelled frames from %s", len(frames), path)


def _shift(atoms: Atoms, teacher: ServedForce, source: str) -> float:
    """What to add to the energy of a labelled frame so that it is the teacher's, eV."""
    walker = atoms.copy()
    walker.info["walker"] = -1
    (result,) = teacher(walker, atoms.positions[None])
    difference = rms(result.forces - atoms.get_forces())
    if difference > SAME_FORCE:
        raise DataError(
            f"expected labels of the teacher in {source}, got forces that differ by "
            f"{1e3 * difference:.0f} meV/Å RMSE; give labels of the same model and settings"
        )
    energy = atoms.calc.results.get("energy")
    return 0.0 if energy is None else result.energy - energy
