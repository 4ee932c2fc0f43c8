"""From a file of frames to what the training process needs, checked."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from ...backends.pet.metatrain import DIRECT, ENERGY, STRESS
from ...errors import DataError
from ..options import TrainOptions
from .check import (
    check_count,
    check_forces,
    check_isolated,
    check_labels,
    check_periodicity,
    check_species,
    find_outliers,
)
from .frames import ISOLATED, is_isolated, label, read_labelled_frames
from .keys import LabelKeys, find_keys
from .split import split
from .stress import check_stresses, drop_stresses
from .unit import check_units

__all__ = ["PreparedData", "find_baseline", "prepare"]


@dataclass
class PreparedData:
    """Frames in parts, with labels, and what follows from them.

    Attributes:
        parts: ``train``, ``validation`` and ``test`` frames.
        baseline: eV by species; zero without energies.
        scale: root mean square of the training forces, eV/Å.
        heads: outputs that the model gets.
        summary: of the data, for the card.
        warnings: of the data, for the user.
        notes: what else the user should know of it.
    """

    parts: dict[str, list[Atoms]]
    baseline: dict[int, float]
    scale: float
    heads: list[str]
    summary: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write each part as extended xyz."""
        for part, frames in self.parts.items():
            ase.io.write(folder / f"{part}.xyz", frames, format="extxyz")


def prepare(data: Path, options: TrainOptions, held_out: Path | None) -> PreparedData:
    """Read, check and divide the data.

    Raises:
        DataError: if the data cannot be trained on.
    """
    energy = options.recipe != "direct"
    loaded = load(data, options, energy=energy)
    frames, warnings, notes = loaded.frames, loaded.warnings, loaded.notes
    parts, how = split(frames, test=held_out is None, seed=options.seed)
    species = {z for f in parts["train"] for z in f.numbers.tolist()}
    if held_out is not None:
        others = load(held_out, options, energy=energy, like=loaded.keys)
        parts["test"] = others.frames
        check_species(parts["test"], species, str(held_out))
        warnings, notes = warnings + others.warnings, notes + others.notes
    for part, members in parts.items():
        if not members:
            raise DataError(
                f"expected frames for {part}, got none of the {len(frames)} in '{data}' "
                f"(split by {how}); add frames"
            )
        check_species(members, species, str(data))
    baseline, origin = dict.fromkeys(sorted(species), 0.0), "none"
    if energy:
        baseline, origin = find_baseline(parts["train"], loaded.isolated)
    warnings += find_outliers(frames, residuals(frames, baseline) if energy else None)
    forces = np.concatenate([f.calc.results["forces"] for f in parts["train"]])
    summary = summarise(data, held_out, parts, loaded.keys, how, origin)
    stress = any("stress" in f.calc.results for f in parts["train"])
    heads = [ENERGY] * energy + [DIRECT] + [STRESS] * stress
    scale = float(np.sqrt(np.mean(forces**2)))
    return PreparedData(parts, baseline, scale, heads, summary, warnings, notes)


@dataclass
class Loaded:
    """The frames of a file, labelled and checked; isolated atoms; names of the labels; remarks."""

    frames: list[Atoms]
    isolated: list[Atoms]
    keys: LabelKeys
    warnings: list[str]
    notes: list[str]


def load(
    path: Path, options: TrainOptions, *, energy: bool, like: LabelKeys | None = None
) -> Loaded:
    """Read and check a file, whose labels are named as in another one (``like``) if they can be."""
    given = read_labelled_frames(path)
    isolated = [is_isolated(f, options.cutoff) for f in given]
    several = [f for f, alone in zip(given, isolated, strict=True) if not alone]
    check_count(several, str(path))
    keys = find_keys(several, options.energy_key, options.forces_key, options.stress_key, like=like)
    labelled = [label(f, keys, i) for i, f in enumerate(given)]
    frames = [f for f, alone in zip(labelled, isolated, strict=True) if not alone]
    lone = [f for f, alone in zip(labelled, isolated, strict=True) if alone]
    notes = note_single_atoms(frames, lone, str(path)) + drop_stresses(frames)
    check_labels(frames, keys, str(path), energy=energy, given=given)
    warnings = check_periodicity(frames, str(path)) + check_isolated(lone, str(path))
    if not any("stress" in f.calc.results for f in frames):
        keys = replace(keys, stress=None)
    if not options.trust_units:
        warnings += check_units(frames, str(path), energy=energy)
        if keys.stress is not None:
            more, untold = check_stresses(frames, str(path), keys.stress)
            warnings, notes = warnings + more, notes + untold
    check_forces(frames, str(path), options.max_force)
    return Loaded(frames, lone, keys, warnings, notes)


def note_single_atoms(frames: Sequence[Atoms], lone: Sequence[Atoms], path: str) -> list[str]:
    """Say what became of frames of one atom."""
    crystals = sum(len(f) == 1 for f in frames)
    notes = []
    if crystals:
        notes.append(f"crystals of one atom, trained on like others, in '{path}': {crystals}")
    if lone:
        notes.append(
            f"isolated atoms (no image within {ISOLATED:g} Å), not trained on, in '{path}': "
            f"{len(lone)}"
        )
    return notes


def find_baseline(frames: Sequence[Atoms], lone: Sequence[Atoms]) -> tuple[dict[int, float], str]:
    """Return the energy of an atom of each species in eV, and in words where it comes from.

    Isolated atoms (the lowest of a species) if there is one of each species; else the linear fit
    of energies to compositions (the smallest one where compositions leave it open).
    """
    species = sorted({z for f in frames for z in f.numbers.tolist()})
    isolated: dict[int, float] = {}
    for atoms in lone:
        if "energy" in atoms.calc.results:
            z, energy = int(atoms.numbers[0]), float(atoms.calc.results["energy"])
            isolated[z] = min(energy, isolated.get(z, energy))
    if set(species) <= isolated.keys():
        return {z: isolated[z] for z in species}, "isolated atoms in the data"
    counts = np.array([[np.count_nonzero(f.numbers == z) for z in species] for f in frames], float)
    energies = np.array([f.calc.results["energy"] for f in frames])
    fitted = np.linalg.lstsq(counts, energies, rcond=1e-8)[0]
    return dict(zip(species, fitted.tolist(), strict=True)), "fit of energies to compositions"


def residuals(frames: Sequence[Atoms], baseline: dict[int, float]) -> NDArray[np.float64]:
    """Energies less the baseline, eV per atom, shape (frames,)."""
    return np.array(
        [
            (f.calc.results["energy"] - sum(baseline[z] for z in f.numbers.tolist())) / len(f)
            for f in frames
        ]
    )


def summarise(
    data: Path, held_out: Path | None, parts: Mapping[str, Sequence[Atoms]], keys: LabelKeys,
    how: str, baseline: str,
) -> dict[str, Any]:  # fmt: skip
    """Return what the card says about the data."""
    everything = [f for frames in parts.values() for f in frames]
    atoms = Counter(z for f in everything for z in f.numbers.tolist())
    return {
        "file": data.name,
        "sha256": digest(data),
        "test_file": None if held_out is None else held_out.name,
        "frames": {part: len(frames) for part, frames in parts.items()},
        "split_by": how if held_out is None else f"{how}; test frames from a file of their own",
        "atoms": {chemical_symbols[z]: n for z, n in sorted(atoms.items())},
        "labels": {k: v for k, v in vars(keys).items() if v is not None},
        "stresses": {
            part: sum("stress" in f.calc.results for f in frames) for part, frames in parts.items()
        },
        "baseline": baseline,
    }


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
