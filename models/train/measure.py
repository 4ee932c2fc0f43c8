"""Errors of a trained model on held-out frames, and the gap between its forces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ..backends.metatomic import MetatomicModel
from ..base import Role
from ..frames import structure_of
from ..gap import GapStatistics, force_gap, gap_statistics
from ..statistics import by_species, rms

__all__ = ["Predictions", "errors_of", "gap_of", "predict_frames"]

MEV = 1000.0
BAR = 1.602176634e6  # per eV/Å³
BATCH_FRAMES = 50


@dataclass
class Predictions:
    """Labels and predictions of s frames of n atoms in all, joined; ``None`` for what is missing.

    Attributes:
        numbers: atomic numbers, shape (n,).
        n_atoms: of each frame, shape (s,).
        energy: label and prediction, shape (s, 2), eV.
        forces: label and prediction of each role, shape (n, 3, 2), eV/Å; direct forces as the
            model gives them, with their mean.
        stress: label and prediction of each role that has it, of the t frames with such a label,
            shape (t, 3, 3, 2), eV/Å³.
    """

    numbers: NDArray[np.int_]
    n_atoms: NDArray[np.int_]
    energy: NDArray[np.float64] | None
    forces: dict[Role, NDArray[np.float64]]
    stress: dict[Role, NDArray[np.float64]]


def predict_frames(path: Path, frames: Sequence[Atoms], device: str) -> Predictions:
    """Evaluate an exported model on labelled frames, in all roles it offers."""
    model = MetatomicModel(path, device=device)
    roles = model.capabilities.roles
    labels = [{} if f.calc is None else f.calc.results for f in frames]
    results = []
    for first in range(0, len(frames), BATCH_FRAMES):
        batch = [structure_of(f) for f in frames[first : first + BATCH_FRAMES]]
        results += model.evaluate(batch, roles)
    zeros = [np.zeros((len(f), 3)) for f in frames]
    labelled = np.concatenate([x.get("forces", z) for x, z in zip(labels, zeros, strict=True)])
    forces = {
        role: np.stack([labelled, np.concatenate([r[role].forces for r in results])], axis=-1)
        for role in roles
    }
    energy, stress = None, {}
    if Role.CONSERVATIVE in roles and all("energy" in x for x in labels):
        energy = np.array(
            [
                [x["energy"], r[Role.CONSERVATIVE].energy]
                for x, r in zip(labels, results, strict=True)
            ]
        )
    known = [k for k, x in enumerate(labels) if "stress" in x]
    if known:
        truth = np.array([frames[k].get_stress(voigt=False) for k in known])
        volumes = np.array([frames[k].get_volume() for k in known])[:, None, None]
        for role in model.capabilities.stress:
            values = np.array([-results[k][role].virial for k in known]) / volumes
            stress[role] = np.stack([truth, values], axis=-1)
    return Predictions(
        np.concatenate([f.numbers for f in frames]),
        np.array([len(f) for f in frames]),
        energy,
        forces,
        stress,
    )


def errors_of(predictions: Predictions) -> dict[str, Any]:
    """Root mean square errors: forces in meV/Å by species, energy in meV/atom, stress in bar."""
    errors: dict[str, Any] = {}
    for role, forces in predictions.forces.items():
        parts = by_species(forces[..., 1] - forces[..., 0], predictions.numbers)
        errors[f"forces_{role}"] = {k: MEV * rms(v) for k, v in parts.items()}
    if predictions.energy is not None:
        error = (predictions.energy[:, 1] - predictions.energy[:, 0]) / predictions.n_atoms
        errors["energy"] = MEV * rms(error)
    for role, stress in predictions.stress.items():
        errors[f"stress_{role}"] = BAR * rms(stress[..., 1] - stress[..., 0])
    return errors


def gap_of(predictions: Predictions) -> dict[str, GapStatistics]:
    """The gap between both forces by species; nothing for a model of one kind of forces."""
    if len(predictions.forces) < 2:
        return {}
    ends = np.cumsum(predictions.n_atoms)[:-1]
    fast = np.split(predictions.forces[Role.DIRECT][..., 1], ends)
    slow = np.split(predictions.forces[Role.CONSERVATIVE][..., 1], ends)
    gaps = [force_gap(*pair) for pair in zip(fast, slow, strict=True)]
    return gap_statistics(np.split(predictions.numbers, ends), gaps)
