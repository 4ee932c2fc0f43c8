"""Statistics that more than one room needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["rms"]


def rms(values: ArrayLike) -> float:
    """Root mean square of all values, of any shape; in their unit."""
    return float(np.sqrt(np.mean(np.square(values))))
