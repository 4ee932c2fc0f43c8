"""The gap: what the correction of multiple time stepping has to carry.

It is the slow force minus the fast one, as both are served: a direct force without its mean over
atoms. Model cards, the driver's guard, ``check`` and ``distill`` all speak of this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Role
from .served import served_forces
from .statistics import by_species, rms

__all__ = ["GapStatistics", "force_gap", "gap_statistics"]

TAIL = 0.999


@dataclass(frozen=True)
class GapStatistics:
    """Size of the gap's components on some atoms, meV/Å.

    Attributes:
        rmse_meV_per_A: root mean square.
        p999_meV_per_A: 99.9th percentile of the absolute values.
    """

    rmse_meV_per_A: float
    p999_meV_per_A: float

    def for_card(self) -> dict[str, float]:
        """The numbers as they stand on a model's card, meV/Å."""
        return {"rmse": round(self.rmse_meV_per_A, 2), "p999": round(self.p999_meV_per_A, 2)}


def force_gap(
    fast: NDArray[np.float64], slow: NDArray[np.float64], fast_role: Role = Role.DIRECT
) -> NDArray[np.float64]:
    """Return the gap of one structure or of a batch, eV/Å.

    Args:
        fast: shape (…, N, 3), eV/Å; whether its mean was removed before makes no difference.
        slow: conservative force that corrects it, shape (…, N, 3), eV/Å.
        fast_role: of ``fast``: a conservative force is served with its mean.
    """
    return slow - served_forces(fast, fast_role)


def gap_statistics(
    numbers: Sequence[NDArray[np.int_]], gaps: Sequence[NDArray[np.float64]]
) -> dict[str, GapStatistics]:
    """Return the size of the gap for ``all`` atoms and for each species by its symbol.

    Args:
        numbers: atomic numbers of each frame, shape (N,).
        gaps: of each frame, shape (N, 3), eV/Å.
    """
    groups = by_species(np.concatenate(gaps), np.concatenate(numbers))
    return {
        name: GapStatistics(1e3 * rms(gap), 1e3 * float(np.quantile(np.abs(gap), TAIL)))
        for name, gap in groups.items()
    }
