"""The bounds that ``<parameters>`` may set, and the norms that are compared with them.

What they bound is said in :mod:`halfkick.driver.server.guards.guard`. Some bounds are off unless
more is known: :func:`usual_max_move` is that of ``max_move`` where i-PI's input is at hand and says
nothing but dynamics, and USUAL_GAP_FACTOR times the 99.9th percentile on the card of a model is
that of ``max_gap`` where there is a card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from ase import units
from numpy.typing import NDArray

from ..ipi.flash import energy_sockets
from ..ipi.input import IpiInput
from ..ipi.system import System

__all__ = ["USUAL_GAP_FACTOR", "Limits", "max_norm", "max_norm_bound", "usual_max_move"]

USUAL_MAX_MOVE = 1.0  # Å; atoms of a sane run go a tenth of this
LIGHTEST_ATOM = 0.5  # amu; what is lighter is no atom: electrons, particles in a trap
THERMAL_STEPS = 10.0  # as far as a light particle may go, in the steps of thermal motion
USUAL_GAP_FACTOR = 10.0
SQRT3 = 3.0**0.5


@dataclass(frozen=True)
class Limits:
    """Bounds of one force field; ``inf`` where one is off.

    Attributes:
        max_force: the largest force on an atom, eV/Å.
        max_move: the largest displacement of an atom between two requests of one bead, Å.
        max_gap: the largest difference of conservative and fast force on an atom, eV/Å.
        uncertainty_threshold: the largest uncertainty of the energy of an atom, eV.
    """

    max_force: float = 100.0
    max_move: float = np.inf
    max_gap: float = np.inf
    uncertainty_threshold: float = np.inf

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


def usual_max_move(source: IpiInput) -> float:
    """How far an atom may go between two requests unless its limit is given, Å.

    The bound of atoms holds for all that are; of lighter particles it follows from temperature,
    beads and step, ``10 Δt √(P k_B T / m)``. It is off where that is not known, and where
    something else but dynamics moves them.
    """
    if not source.is_dynamics or energy_sockets(source.sockets):
        return np.inf  # a network watches its own moves; its fallback begins anew each time
    return max(map(_usual_max_move, source.systems), default=np.inf)


def _usual_max_move(system: System) -> float:
    masses = system.masses_in_input
    lightest = LIGHTEST_ATOM if masses is None or not len(masses) else float(masses.min())
    if lightest >= LIGHTEST_ATOM:
        return USUAL_MAX_MOVE
    temperature_K, dynamics = system.ensemble.temperature_K, system.dynamics
    if temperature_K is None or dynamics is None or not lightest > 0.0:
        return np.inf
    speed = (system.beads * units.kB * temperature_K / lightest) ** 0.5 * units.fs
    return max(USUAL_MAX_MOVE, THERMAL_STEPS * speed * dynamics.timestep_fs)


def max_norm(vectors: NDArray[np.float64]) -> float:
    """The largest norm among vectors of shape (N, 3)."""
    return float(np.sqrt((vectors**2).sum(axis=1).max()))


def max_norm_bound(vectors: NDArray[np.float64]) -> float:
    """No vector, shape (…, 3), is longer than this; it takes one look at the components."""
    return SQRT3 * max(np.maximum.reduce(vectors, None), -np.minimum.reduce(vectors, None))
