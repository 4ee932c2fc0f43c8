"""How far atoms are apart: radial distribution functions, and with vacuum, pairs by distance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...ipi.trajectories import labels_of_frame
from .observables import Curve, blocked
from .run_data import Run
from .slab import empty_axes, height_of

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["GROUPS", "curves", "pair_distances", "radial_distribution"]

BIN_WIDTH = 0.05  # Å
GROUPS = ("radial distribution", "pair distances")
MAX_DISTANCE = 8.0  # Å; of g(r) at most half the smallest height of the cell


def curves(run: Run) -> list[Curve]:
    """One for each pair of species of a periodic system, all beads together.

    With vacuum pairs are counted as they are, with images: the density to compare with is no one's.
    """
    frames = run.frames("positions")
    if frames is None:
        return []
    first = frames.beads[0][0]
    if first.cell.rank != 3:
        return []
    with_vacuum = bool(empty_axes(first))
    reach = MAX_DISTANCE
    if not with_vacuum:
        reach = min(reach, *(0.5 * _height(frame) for frame in frames.beads[0]))
    edges = np.arange(0.0, reach, BIN_WIDTH)
    if len(edges) < 3:
        return []
    distributions = []
    group, label = GROUPS[with_vacuum], "pairs (1/Å)" if with_vacuum else "g(r)"
    of_frames = pair_distances if with_vacuum else radial_distribution
    for a, b in combinations_with_replacement(sorted(set(labels_of_frame(first))), 2):

        def measure(part: slice, pair: tuple[str, str] = (a, b)) -> NDArray[np.float64]:
            """Of shape (bins,)."""
            chosen = [frame for bead in frames.beads for frame in bead[part]]
            return of_frames(chosen, pair, edges)

        y, error = blocked(len(frames.times), measure)
        x = 0.5 * (edges[1:] + edges[:-1])
        distributions.append(Curve(group, f"{a}-{b}", "distance (Å)", label, x, y, error))
    return distributions


def radial_distribution(
    frames: Sequence[Atoms], pair: tuple[str, str], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``g(r)`` between two species, averaged over frames.

    ``g(r) = V n(r) / (N_pairs · 4π/3 [r₊³ − r₋³])``: 1 where nothing is ordered.

    ==========================  ===============================================
    n(r)                        ``counts``: ordered pairs in a bin
    N_pairs                     ``pairs``: N_a N_b, or N_a (N_a − 1) if alike
    4π/3 [r₊³ − r₋³]            ``shells``, Å³
    ==========================  ===============================================

    Args:
        frames: periodic in all directions.
        pair: labels.
        edges: r₋ and r₊ of the bins, Å, shape (bins + 1,).

    Returns:
        Shape (bins,).
    """
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    result = np.zeros(len(edges) - 1)
    for frame in frames:
        symbols = np.array(labels_of_frame(frame))
        first, second = symbols == pair[0], symbols == pair[1]
        pairs = first.sum() * (second.sum() - (pair[0] == pair[1]))
        counts = _counts(frame, pair, edges)
        result += counts / max(pairs, 1) * frame.get_volume() / shells
    return result / len(frames)


def pair_distances(
    frames: Sequence[Atoms], pair: tuple[str, str], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pairs of two species by their distance, 1/Å, averaged over frames, each pair once.

    The area below a part of it is how many are so far apart.

    Args:
        frames: periodic in any directions.
        pair: labels.
        edges: of the bins, Å, shape (bins + 1,).

    Returns:
        Shape (bins,).
    """
    twice = 2.0 if pair[0] == pair[1] else 1.0
    counts = np.mean([_counts(frame, pair, edges) for frame in frames], axis=0)
    return np.asarray(counts / (twice * np.diff(edges)))


def _counts(frame: Atoms, pair: tuple[str, str], edges: NDArray[np.float64]) -> NDArray[np.int_]:
    """Ordered pairs of two species in each bin, shape (bins,)."""
    from vesin import ase_neighbor_list

    symbols = np.array(labels_of_frame(frame))
    i, j, d = ase_neighbor_list("ijd", frame, float(edges[-1]))
    chosen = (symbols[i] == pair[0]) & (symbols[j] == pair[1])
    return np.histogram(d[chosen], edges)[0]


def _height(atoms: Atoms) -> float:
    """The smallest distance between opposite faces of the cell, Å."""
    return min(height_of(atoms, axis) for axis in range(3))
