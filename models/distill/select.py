"""Selection of frames to train on: where the student is worst, and those unlike all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import vesin
from ase import Atoms
from numpy.typing import NDArray

from ..statistics import rms

__all__ = ["farthest", "fingerprints", "pick", "rms_gap"]

FINGERPRINT_CUTOFF = 5.0  # Å
FINGERPRINT_BINS = 24


def pick(candidates: Sequence[Atoms], training_set: Sequence[Atoms], count: int) -> list[Atoms]:
    """Choose frames: half by the student's gap (if it is known), the rest by distance.

    Args:
        candidates: fresh frames, with the array ``gap`` where a student was compared.
        training_set: frames that are in it already.
        count: how many to choose.
    """
    if len(candidates) <= count:
        return list(candidates)
    gaps = np.array([rms_gap(atoms) for atoms in candidates])
    worst = np.argsort(-gaps)[: count // 2 if gaps.any() else 0]
    features = fingerprints([*training_set, *candidates])
    fresh = features[len(training_set) :]
    chosen = np.concatenate([features[: len(training_set)], fresh[worst]])
    rest = np.setdiff1d(np.arange(len(candidates)), worst)
    far = rest[farthest(fresh[rest], chosen, count - len(worst))]
    return [candidates[i] for i in sorted([*worst, *far])]


def rms_gap(atoms: Atoms) -> float:
    """RMS gap of a frame, eV/Å; 0 if none was measured."""
    gap = atoms.arrays.get("gap")
    return 0.0 if gap is None else rms(gap)


def farthest(
    features: NDArray[np.float64], reference: NDArray[np.float64], count: int
) -> NDArray[np.int_]:
    """Choose points far from the reference points and from each other (farthest-point sampling).

    Args:
        features: shape (n, d).
        reference: shape (m, d); if m is 0 the first choice is what is farthest from the mean.
        count: how many to choose.

    Returns:
        Indices into ``features``, shape (count,).
    """
    anchor = reference if len(reference) else features.mean(axis=0, keepdims=True)
    distance = np.full(len(features), np.inf)
    for point in anchor:
        distance = np.minimum(distance, ((features - point) ** 2).sum(axis=1))
    chosen: list[int] = []
    for _ in range(min(count, len(features))):
        best = int(np.argmax(distance))
        chosen.append(best)
        distance = np.minimum(distance, ((features - features[best]) ** 2).sum(axis=1))
        distance[chosen] = -1.0
    return np.array(chosen, dtype=int)


def fingerprints(frames: Sequence[Atoms]) -> NDArray[np.float64]:
    """Describe each frame by how often its pairs of species are how far apart, shape (n, d)."""
    species = sorted({int(z) for atoms in frames for z in atoms.numbers})
    pairs = [(a, b) for a in species for b in species if a <= b]
    return np.array([_fingerprint(atoms, pairs) for atoms in frames])


def _fingerprint(atoms: Atoms, pairs: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """Weighted histogram of distances for each pair of species, shape (d,)."""
    i, j, r = vesin.ase_neighbor_list("ijd", atoms, FINGERPRINT_CUTOFF)
    low, high = np.sort([atoms.numbers[i], atoms.numbers[j]], axis=0)
    rows = []
    for a, b in pairs:
        distances = r[(low == a) & (high == b)]
        # near pairs weigh more: there are fewer of them, and their forces are larger
        rows.append(
            np.histogram(
                distances, FINGERPRINT_BINS, (0.0, FINGERPRINT_CUTOFF), weights=1.0 / distances**2
            )[0]
        )
    return np.concatenate(rows) / len(atoms)
