"""Root mean squares, and values by species."""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray

__all__ = ["by_species", "rms"]


def rms(values: ArrayLike) -> float:
    """Root mean square over all components, in the unit of ``values``, of any shape."""
    return float(np.sqrt(np.mean(np.square(values))))


def by_species(
    values: NDArray[np.float64], numbers: NDArray[np.int_]
) -> dict[str, NDArray[np.float64]]:
    """Split values of n atoms into those of ``all`` and of each species by its symbol.

    Args:
        values: shape (n, …).
        numbers: atomic numbers, shape (n,).
    """
    species = {chemical_symbols[z]: values[numbers == z] for z in np.unique(numbers).tolist()}
    return {"all": values} | species
