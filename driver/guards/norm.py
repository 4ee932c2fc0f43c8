"""The longest of many vectors, exactly or by a quick bound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SQRT3", "longest"]

SQRT3 = 3.0**0.5
"""Times the largest component: no vector is longer, and this takes one look at the components."""


def longest(vectors: NDArray[np.float64]) -> float:
    """The largest norm among vectors of shape (N, 3)."""
    return float(np.sqrt((vectors**2).sum(axis=1).max()))
