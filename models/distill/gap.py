"""How far two forces are apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

__all__ = ["gap_by_species"]


def gap_by_species(
    numbers: Sequence[NDArray[np.int_]], gaps: Sequence[NDArray[np.float64]]
) -> dict[str, dict[str, float]]:
    """Root mean square and 99.9th percentile of the components of a difference of forces.

    Args:
        numbers: atomic numbers of each frame, (N,).
        gaps: differences in each frame, (N, 3), eV/Å.

    Returns:
        ``rmse`` and ``p999`` in meV/Å for ``all`` atoms and for each species by its symbol.
    """
    z, gap = np.concatenate(numbers), np.concatenate(gaps)
    groups = {"all": np.ones(len(z), dtype=bool)}
    groups |= {chemical_symbols[s]: z == s for s in np.unique(z)}
    return {
        name: {
            "rmse": round(1e3 * float(np.sqrt(np.mean(gap[own] ** 2))), 2),
            "p999": round(1e3 * float(np.quantile(np.abs(gap[own]), 0.999)), 2),
        }
        for name, own in groups.items()
    }
