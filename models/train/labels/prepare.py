"""From a file of frames to what the training process needs, checked."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from .check import check_forces, check_labels, check_periodicity, check_species, find_outliers
from .frames import LabelKeys, find_keys, is_lone_atom, label, read_labelled_frames
from .split import split
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
    """

    parts: dict[str, list[Atoms]]
    baseline: dict[int, float]
    scale: float
    heads: list[str]
    summary: dict[str, Any]
    warnings: list[str] = field(default_factory=list)

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
    frames, lone, keys, warnings = load(data, options, energy=energy)
    stress = keys.stress is not None
    parts, how = split(frames, test=held_out is None, seed=options.seed)
    species = {z for f in parts["train"] for z in f.numbers.tolist()}
    if held_out is not None:
        parts["test"], _, _, more = load(held_out, options, energy=energy)
        check_species(parts["test"], species, str(held_out))
        warnings += more
    for part, members in parts.items():
        if not members:
            raise DataError(
                f"expected frames for {part}, got none of the {len(frames)} in '{data}' "
                f"(split by {how}); add frames"
            )
        check_species(members, species, str(data))
    baseline, origin = dict.fromkeys(sorted(species), 0.0), "none"
    if energy:
        baseline, origin = find_baseline(parts["train"], lone)
    warnings += find_outliers(frames, residuals(frames, baseline) if energy else None)
    forces = np.concatenate([f.calc.results["forces"] for f in parts["train"]])
    summary = summarise(data, held_out, parts, keys, how, origin)
    heads = [ENERGY] * energy + [DIRECT] + [STRESS] * stress
    scale = float(np.sqrt(np.mean(forces**2)))
    return PreparedData(parts, baseline, scale, heads, summary, warnings)


def load(
    path: Path, options: TrainOptions, *, energy: bool
) -> tuple[list[Atoms], list[Atoms], LabelKeys, list[str]]:
    """Return labelled frames, isolated atoms, names of the labels and warnings; all checked."""
    frames = read_labelled_frames(path)
    several = [f for f in frames if not is_lone_atom(f)]
    keys = find_keys(several, options.energy_key, options.forces_key, options.stress_key)
    labelled = [label(f, keys, i) for i, f in enumerate(frames)]
    lone = [f for f in labelled if is_lone_atom(f)]
    labelled = [f for f in labelled if not is_lone_atom(f)]
    check_labels(labelled, keys, str(path), energy=energy)
    warnings = check_periodicity(labelled, str(path), stress=keys.stress is not None)
    if not options.trust_units:
        warnings += check_units(labelled, str(path), energy=energy)
    check_forces(labelled, str(path), options.max_force)
    return labelled, lone, keys, warnings


def find_baseline(frames: Sequence[Atoms], lone: Sequence[Atoms]) -> tuple[dict[int, float], str]:
    """Return the energy of an atom of each species in eV, and in words where it comes from.

    Isolated atoms if there is one of each species; else the linear fit of energies to
    compositions (the smallest one where compositions leave it open).
    """
    species = sorted({z for f in frames for z in f.numbers.tolist()})
    isolated = {
        int(f.numbers[0]): float(f.calc.results["energy"])
        for f in lone
        if "energy" in f.calc.results
    }
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
        "baseline": baseline,
    }


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
