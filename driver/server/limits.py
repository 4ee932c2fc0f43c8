"""The bounds that ``<parameters>`` may set, and the norms that are compared with them.

What they bound is said in :mod:`halfkick.driver.server.guards.guard`. Some bounds are off unless
more is known: USUAL_MAX_MOVE is that of ``max_move`` where i-PI's input is at hand and says nothing
but dynamics, and USUAL_GAP_FACTOR times the 99.9th percentile on the card of a model is that of
``max_gap`` where there is a card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

__all__ = ["USUAL_GAP_FACTOR", "USUAL_MAX_MOVE", "Limits", "max_norm", "max_norm_bound"]

USUAL_MAX_MOVE = 1.0  # Å; atoms of a sane run go a tenth of this
USUAL_GAP_FACTOR = 10.0
SQRT3 = 3.0**0.5


@dataclass(frozen=True)
class Limits:
    """Bounds of one force field; ``inf`` where one is off.

    Attributes:
        max_force: the largest force on an atom, eV/Å.
        max_move: the largest displacement of an atom between two requests of one bead, Å.
        max_gap: the largest difference of conservative and fast force on an atom, eV/Å.
    """

    max_force: float = 100.0
    max_move: float = np.inf
    max_gap: float = np.inf

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The parameters that set a limit."""
        return tuple(limit.name for limit in fields(cls))

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Limits:
        """Take the limits among ``<parameters>``; ValueError if one is no positive number."""
        given = {}
        for name in set(cls.names()) & parameters.keys():
            try:
                given[name] = float("inf" if parameters[name] == "off" else parameters[name])
            except ValueError:
                given[name] = np.nan
            if not given[name] > 0.0:
                raise ValueError(
                    f"expected a positive number or 'off' for {name}, got '{parameters[name]}'"
                )
        return cls(**given)


def max_norm(vectors: NDArray[np.float64]) -> float:
    """The largest norm among vectors of shape (N, 3)."""
    return float(np.sqrt((vectors**2).sum(axis=1).max()))


def max_norm_bound(vectors: NDArray[np.float64]) -> float:
    """No vector, shape (…, 3), is longer than this; it takes one look at the components."""
    return SQRT3 * max(np.maximum.reduce(vectors, None), -np.minimum.reduce(vectors, None))
