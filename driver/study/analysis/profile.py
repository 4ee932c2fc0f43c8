"""Density profiles of slabs, along the normal of their surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...ipi.trajectories import labels_of_frame
from .observables import Curve, blocked
from .run_data import Run
from .slab import find_slab, height_of

__all__ = ["curves"]

BIN_WIDTH = 0.1  # Å


def curves(run: Run) -> list[Curve]:
    """One for each species of a slab, all beads together; none without vacuum across one vector.

    ``ρ(z) = n(z) / (A Δz)`` with the height z over the middle of the slab, atoms n(z) in a bin of
    width Δz, and the area A of the surface.
    """
    frames = run.frames("positions")
    slab = None if frames is None else find_slab(frames.beads[0][0])
    if frames is None or slab is None:
        return []
    first = frames.beads[0][0]
    half = 0.5 * height_of(first, slab.axis)
    bins = max(2, round(2.0 * half / BIN_WIDTH))
    edges = np.linspace(-half, half, bins + 1)
    heights = np.array([[slab.heights(frame) for frame in bead] for bead in frames.beads])
    per_atom = 1.0 / (slab.area(first) * (edges[1] - edges[0]) * len(heights))
    symbols = np.array(labels_of_frame(first))
    labels = ("height (Å)", "density (1/Å³)")
    profiles = []
    for species in (*slab.surface, *slab.others):

        def measure(
            part: slice, chosen: NDArray[np.bool_] = symbols == species
        ) -> NDArray[np.float64]:
            """Of shape (bins,)."""
            some = heights[:, part][:, :, chosen]
            return np.histogram(some, edges)[0] * per_atom / max(some.shape[1], 1)

        y, error = blocked(heights.shape[1], measure)
        x = 0.5 * (edges[1:] + edges[:-1])
        profiles.append(Curve("density profile", species, *labels, x, y, error))
    return profiles
