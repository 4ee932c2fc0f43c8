"""Input of a distillation: structures to begin from, and frames that are labelled already."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ..base import ForceModel, ForceResult
from ..errors import DataError
from ..frames import read_frames, read_frames_for
from ..statistics import rms
from .sample import ServedForce
from .store import SUPPLIED, Store, rounded, state_of

__all__ = ["read_starts", "take_labels"]

log = logging.getLogger(__name__)

SAME_FORCE = 0.05
"""eV/Å: labels that are farther from the teacher than this are not the teacher's."""
SAME_STRESS = 0.003
"""eV/Å³ (5 kbar): the same for stresses, …"""
SAME_PART = 0.1
"""… or so large a part of the teacher's own; also of the largest difference of two energies."""
SAME_ENERGY = 0.005
"""eV per atom: the same for that difference, if it is more."""


def read_starts(paths: Sequence[Path], models: Sequence[ForceModel]) -> list[Atoms]:
    """All frames of some files.

    Args:
        paths: the files.
        models: teacher and surrogate.

    Raises:
        DataError: if ASE cannot read one, if a frame has a charge or spin that a model does not
            compute with, or if two of one composition differ in them.
    """
    frames = [frame for path in paths for frame in read_frames_for(path, ":", models=models)]
    if not frames:
        raise DataError("expected at least one structure to begin from, got none; name a file")
    check_states(frames)
    return frames


def check_states(frames: Sequence[Atoms]) -> None:
    """Raise DataError for two charges or spins of one composition: a student is told of none."""
    known: dict[str, tuple[float, int]] = {}
    for atoms in frames:
        formula, state = atoms.get_chemical_formula(), state_of(atoms)
        if known.setdefault(formula, state) != state:
            one, other = (
                "charge {:g}, multiplicity {}".format(*s) for s in (known[formula], state)
            )
            raise DataError(
                f"expected one charge and spin of {formula}, of which the student is not told, got "
                f"{one} and {other}; distil a student of each"
            )


def take_labels(path: Path, store: Store, teacher: ServedForce, *, energy: bool = False) -> None:
    """Add frames that the teacher has labelled before, after a look whether it was this teacher.

    One frame of each composition is computed anew, and one more of the commonest: that whose energy
    differs most. Energies may differ by a constant of each composition, which is then made the
    teacher's.

    Args:
        path: the file.
        store: takes the frames.
        teacher: whose labels they must be.
        energy: whether energies are needed.

    Raises:
        DataError: if labels are missing or not finite, or not those of the teacher.
    """
    groups: dict[str, list[tuple[int, Atoms]]] = {}
    for index, atoms in enumerate(read_frames(path, ":")):
        _check_labels(atoms, f"'{path}', frame {index}", energy=energy)
        atoms.positions, atoms.cell[:] = rounded(atoms.positions), rounded(atoms.cell.array)
        atoms.calc = SinglePointCalculator(atoms, **atoms.calc.results)  # holds for these positions
        if atoms not in store:
            groups.setdefault(atoms.get_chemical_formula(), []).append((index, atoms))
    check_states([*store.frames, *(a for members in groups.values() for _, a in members)])
    commonest = max(groups.values(), key=len, default=[])
    for members in groups.values():
        # an energy of the first one is needed
        members.sort(key=lambda member: "energy" not in member[1].calc.results)
        shift = _shift(*members[0], path, teacher)
        if members is commonest and shift is not None:
            _check_farthest(members, shift, path, teacher)
        for _, atoms in members:
            if "energy" in atoms.calc.results:
                atoms.calc.results["energy"] += shift
            atoms.info[SUPPLIED] = True
    frames = sorted((m for members in groups.values() for m in members), key=lambda m: m[0])
    store.add([atoms for _, atoms in frames])
    log.info("took %d labelled frames from %s", len(frames), path)


def _check_labels(atoms: Atoms, where: str, *, energy: bool) -> None:
    """Raise DataError for labels that are missing or not finite."""
    results = {} if atoms.calc is None else atoms.calc.results
    for kind in ("forces", "energy") if energy else ("forces",):
        if kind not in results:
            raise DataError(
                f"expected {kind} under the key '{kind}' in {where}, got none; rename them or "
                f"leave the frame out"
            )
    for kind in results.keys() & {"energy", "forces", "stress"}:
        if not np.isfinite(results[kind]).all():
            raise DataError(f"expected finite {kind} in {where}, got NaN or infinity; remove it")


def _evaluate(atoms: Atoms, teacher: ServedForce) -> ForceResult:
    """The teacher's own answer for a frame."""
    walker = atoms.copy()
    walker.info["walker"] = -1
    (result,) = teacher(walker, atoms.positions[None])
    return result


def _shift(index: int, atoms: Atoms, path: Path, teacher: ServedForce) -> float | None:
    """What to add to energies of this composition, eV; ``None`` if the frame has none."""
    result, labels = _evaluate(atoms, teacher), atoms.calc.results
    difference = rms(result.forces - labels["forces"])
    if difference > SAME_FORCE:
        raise DataError(
            f"expected labels of the teacher in '{path}', frame {index}, got forces that differ by "
            f"{1e3 * difference:.0f} meV/Å RMSE; give labels of the same model and settings"
        )
    if "stress" in labels and teacher.has_stress and atoms.pbc.all():
        stress = -result.virial / atoms.get_volume()
        difference = rms(stress - atoms.get_stress(voigt=False))
        if difference > max(SAME_STRESS, SAME_PART * rms(stress)):
            raise DataError(
                f"expected labels of the teacher in '{path}', frame {index}, got stresses that "
                f"differ by {difference:.3g} eV/Å³ RMSE from its {rms(stress):.3g}; convert them "
                f"to eV/Å³ with ASE's sign, or leave them out"
            )
    return result.energy - labels["energy"] if "energy" in labels else None


def _check_farthest(
    members: Sequence[tuple[int, Atoms]], shift: float, path: Path, teacher: ServedForce
) -> None:
    """Raise DataError if energies of one composition differ by more than a constant."""
    known = [member for member in members if "energy" in member[1].calc.results]
    first = known[0][1].calc.results["energy"]
    index, atoms = max(known, key=lambda m: abs(m[1].calc.results["energy"] - first))
    energy = atoms.calc.results["energy"]
    if energy == first:
        return
    own = _evaluate(atoms, teacher).energy
    difference, true = energy - first, own - (first + shift)
    if abs(difference - true) > max(SAME_ENERGY * len(atoms), SAME_PART * abs(true)):
        raise DataError(
            f"expected labels of the teacher in '{path}', got energies of frames {known[0][0]} and "
            f"{index} that differ by {difference:.4g} eV where the teacher's differ by {true:.4g}; "
            f"convert them to eV, whole frames, of the same model and settings"
        )
