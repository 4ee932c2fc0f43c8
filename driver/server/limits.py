"""The bounds that ``<parameters>`` may set; see :mod:`halfkick.driver.server.guards.guard`.

Some bounds are off unless more is known: MOVE is that of ``max_move`` where i-PI's input is at
hand and says nothing but dynamics, and GAP times the 99.9th percentile on the card of a model is
that of ``max_gap`` where there is a card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

__all__ = ["GAP", "MOVE", "Limits"]

MOVE = 1.0  # Å; atoms of a sane run go a tenth of this
GAP = 10.0


@dataclass(frozen=True)
class Limits:
    """Bounds of one force field; ``inf`` where one is off."""

    max_force: float = 100.0
    max_move: float = np.inf
    max_gap: float = np.inf

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The parameters that set a limit."""
        return tuple(field.name for field in fields(cls))

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
