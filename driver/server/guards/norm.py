"""The longest of many vectors, exactly or by a quick bound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["bound", "longest"]

SQRT3 = 3.0**0.5


def bound(vectors: NDArray[np.float64]) -> float:
    """No vector is longer than this; it takes one look at the components."""
    return SQRT3 * max(np.maximum.reduce(vectors, None), -np.minimum.reduce(vectors, None))


def longest(vectors: NDArray[np.float64]) -> float:
    """The largest norm among vectors of shape (N, 3)."""
    return float(np.sqrt((vectors**2).sum(axis=1).max()))
