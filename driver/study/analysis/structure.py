"""Radial distribution functions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...ipi.trajectories import labels_of_frame
from .observables import Curve, blocked
from .run_data import Run

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["curves", "radial_distributions"]

BIN_WIDTH = 0.05  # Å
MAX_DISTANCE = 8.0  # Å, or half the smallest height of the cell


def curves(run: Run) -> list[Curve]:
    """One for each pair of species of a periodic system, all beads together."""
    frames = run.frames("positions")
    if frames is None:
        return []
    first = frames.beads[0][0]
    if first.cell.rank != 3:
        return []
    reach = min(MAX_DISTANCE, *(0.5 * _height(frame) for frame in frames.beads[0]))
    edges = np.arange(0.0, reach, BIN_WIDTH)
    if len(edges) < 3:
        return []
    x = 0.5 * (edges[1:] + edges[:-1])
    found = []
    for (a, b), g in radial_distributions(frames.beads, edges).items():
        y, error = blocked(len(g), lambda part, g=g: g[part].mean(axis=0))  # type: ignore[misc]
        labels = ("radial distribution", f"{a}-{b}", "distance (Å)", "g(r)")
        found.append(Curve(*labels, x, y, error))
    return found


def radial_distributions(
    beads: Sequence[Sequence[Atoms]], edges: NDArray[np.float64]
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """``g(r)`` between each two species in each frame, the mean over beads.

    ``g(r) = V n(r) / (N_pairs · 4π/3 [r₊³ − r₋³])``: 1 where nothing is ordered.

    ==========================  ===============================================
    n(r)                        ``counts``: ordered pairs in a bin
    N_pairs                     ``pairs``: N_a N_b, or N_a (N_a − 1) if alike
    4π/3 [r₊³ − r₋³]            ``shells``, Å³
    ==========================  ===============================================

    Args:
        beads: for each bead its frames, periodic in all directions.
        edges: r₋ and r₊ of the bins, Å, shape (bins + 1,).

    Returns:
        Labels of two species -> shape (frames, bins).
    """
    from vesin import ase_neighbor_list

    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    species = sorted(set(labels_of_frame(beads[0][0])))
    shape = (len(beads[0]), len(shells))
    found = {pair: np.zeros(shape) for pair in combinations_with_replacement(species, 2)}
    for frames in beads:
        for index, frame in enumerate(frames):
            i, j, d = ase_neighbor_list("ijd", frame, float(edges[-1]))
            labels = np.array(labels_of_frame(frame))
            of = {label: labels == label for label in species}
            for (a, b), g in found.items():
                counts = np.histogram(d[of[a][i] & of[b][j]], edges)[0]
                pairs = of[a].sum() * (of[b].sum() - (a == b))
                g[index] += counts / max(pairs, 1) * frame.get_volume() / shells / len(beads)
    return found


def _height(atoms: Atoms) -> float:
    """The smallest distance between opposite faces of the cell, Å."""
    return float(1.0 / np.linalg.norm(atoms.cell.reciprocal(), axis=1).max())
