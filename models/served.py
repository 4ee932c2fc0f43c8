"""Forces as they are served.

A direct head leaves a small net force, which would push the whole system. Its mean over atoms is
removed before direct forces are served, unless the input keeps it (``mean_force: keep``).
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from .base import Role, without_mean_force

__all__ = ["MeanForce", "served_forces"]


class MeanForce(str, Enum):
    """What becomes of the mean of direct forces over atoms."""

    REMOVE = "remove"
    KEEP = "keep"

    def __str__(self) -> str:
        return self.value


def served_forces(
    forces: NDArray[np.float64], role: Role, mean_force: MeanForce = MeanForce.REMOVE
) -> NDArray[np.float64]:
    """Return forces of a role, shape (…, N, 3), as they are served; conservative ones unchanged."""
    if role is Role.DIRECT and mean_force is MeanForce.REMOVE:
        return without_mean_force(forces)
    return forces
