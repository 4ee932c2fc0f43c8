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

__all__ = ["GROUPS", "curves", "pair_distances", "radial_distributions"]

BIN_WIDTH = 0.05  # Å
GROUPS = ("radial distribution", "pair distances")
LABELS = ("g(r)", "pairs (1/Å)")
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
    of_frames = pair_distances if with_vacuum else radial_distributions
    x = 0.5 * (edges[1:] + edges[:-1])
    found = []
    for (a, b), values in of_frames(frames.beads, edges).items():
        y, error = blocked(len(values), lambda part, v=values: v[part].mean(axis=0))  # type: ignore[misc]
        labels = (GROUPS[with_vacuum], f"{a}-{b}", "distance (Å)", LABELS[with_vacuum])
        found.append(Curve(*labels, x, y, error))
    return found


def radial_distributions(
    beads: Sequence[Sequence[Atoms]], edges: NDArray[np.float64]
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """``g(r)`` between each two species in each frame, the mean over beads.

    ``g(r) = V n(r) / (N_pairs · 4π/3 [r₊³ − r₋³])``: 1 where nothing is ordered.

    =========  ====================================================
    symbol     variable
    =========  ====================================================
    n          ordered pairs in a bin, images included
    N_pairs    number of ordered pairs of atoms, without itself
    =========  ====================================================

    Args:
        beads: frames of each, periodic in three directions.
        edges: r₋ and r₊ of the bins, Å, shape (bins + 1,).

    Returns:
        Labels of two species -> shape (frames, bins).
    """
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    counts, numbers = _count(beads, edges)
    volumes = np.mean([[frame.get_volume() for frame in frames] for frames in beads], axis=0)
    return {
        (a, b): found / max(numbers[a] * (numbers[b] - (a == b)), 1) * volumes[:, None] / shells
        for (a, b), found in counts.items()
    }


def pair_distances(
    beads: Sequence[Sequence[Atoms]], edges: NDArray[np.float64]
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Pairs of each two species by their distance in each frame, 1/Å, each pair once.

    The area below a part of it is how many are so far apart, in the mean over beads.

    Args:
        beads: frames of each, periodic in any directions.
        edges: of the bins, Å, shape (bins + 1,).

    Returns:
        Labels of two species -> shape (frames, bins).
    """
    counts, _ = _count(beads, edges)
    return {
        (a, b): found / ((2.0 if a == b else 1.0) * np.diff(edges))
        for (a, b), found in counts.items()
    }


def _count(
    beads: Sequence[Sequence[Atoms]], edges: NDArray[np.float64]
) -> tuple[dict[tuple[str, str], NDArray[np.float64]], dict[str, int]]:
    """Ordered pairs in each bin, shape (frames, bins), the mean over beads; atoms by label."""
    from vesin import ase_neighbor_list

    labels = np.array(labels_of_frame(beads[0][0]))
    of = {str(label): labels == label for label in np.unique(labels)}
    shape = (len(beads[0]), len(edges) - 1)
    found = {pair: np.zeros(shape) for pair in combinations_with_replacement(of, 2)}
    for frames in beads:
        for index, frame in enumerate(frames):
            i, j, d = ase_neighbor_list("ijd", frame, float(edges[-1]))
            for (a, b), counts in found.items():
                counts[index] += np.histogram(d[of[a][i] & of[b][j]], edges)[0] / len(beads)
    return found, {label: int(chosen.sum()) for label, chosen in of.items()}


def _height(atoms: Atoms) -> float:
    """The smallest distance between opposite faces of the cell, Å."""
    return min(height_of(atoms, axis) for axis in range(3))
