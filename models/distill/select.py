"""Which frames to teach: those where the student is worst, and those unlike all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import vesin
from ase import Atoms
from numpy.typing import NDArray

__all__ = ["farthest", "fingerprints", "gap_of", "pick"]

REACH = 5.0
BINS = 24


def pick(candidates: Sequence[Atoms], taught: Sequence[Atoms], count: int) -> list[Atoms]:
    """Choose frames: half by the student's gap (if it is known), the rest by distance.

    Args:
        candidates: fresh frames, with the array ``gap`` where a student was compared.
        taught: frames that are in the training data already.
        count: how many to choose.
    """
    if len(candidates) <= count:
        return list(candidates)
    gaps = np.array([gap_of(atoms) for atoms in candidates])
    worst = np.argsort(-gaps)[: count // 2 if gaps.any() else 0]
    features = fingerprints([*taught, *candidates])
    fresh = features[len(taught) :]
    known = np.concatenate([features[: len(taught)], fresh[worst]])
    rest = np.setdiff1d(np.arange(len(candidates)), worst)
    far = rest[farthest(fresh[rest], known, count - len(worst))]
    return [candidates[i] for i in sorted([*worst, *far])]


def gap_of(atoms: Atoms) -> float:
    """RMS gap of a frame, eV/Å; 0 if none was measured."""
    gap = atoms.arrays.get("gap")
    return 0.0 if gap is None else float(np.sqrt(np.mean(gap**2)))


def farthest(
    features: NDArray[np.float64], known: NDArray[np.float64], count: int
) -> NDArray[np.int_]:
    """Choose points far from the known ones and from each other (farthest-point sampling).

    Args:
        features: shape (n, d).
        known: shape (m, d); if m is 0 the first choice is what is farthest from the mean.
        count: how many to choose.

    Returns:
        Indices into ``features``, shape (count,).
    """
    anchor = known if len(known) else features.mean(axis=0, keepdims=True)
    distance = np.full(len(features), np.inf)
    for point in anchor:
        distance = np.minimum(distance, ((features - point) ** 2).sum(axis=1))
    chosen = []
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
    i, j, r = vesin.ase_neighbor_list("ijd", atoms, REACH)
    low, high = np.sort([atoms.numbers[i], atoms.numbers[j]], axis=0)
    rows = []
    for a, b in pairs:
        own = r[(low == a) & (high == b)]
        # near pairs weigh more: there are fewer of them, and their forces are larger
        rows.append(np.histogram(own, BINS, (0.0, REACH), weights=1.0 / own**2)[0])
    return np.concatenate(rows) / len(atoms)
