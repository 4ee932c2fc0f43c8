"""The cost of each force, and the speed-up that multiple time stepping can reach."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..base import Role
from .probe import Probe

__all__ = ["Cost", "cost", "speed_up"]

DISPLACEMENT = 1e-3  # Å between two evaluations, so that nothing can be remembered


@dataclass(frozen=True)
class Cost:
    """Time for one evaluation: median, and the middle half of all, ms."""

    median_ms: float
    low_ms: float
    high_ms: float
    repeats: int


def cost(probe: Probe, *, seconds: float = 4.0, at_least: int = 5) -> dict[str, Cost]:
    """Time direct, conservative and both in one pass, in turns, so that a busy machine is fair."""
    kinds = {str(role): frozenset({role}) for role in sorted(probe.roles)}
    if len(probe.roles) == 2:
        kinds["both"] = probe.roles
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    rng = np.random.default_rng(0)
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < at_least + 2 or (time.perf_counter() < end and rounds < 200):
        for kind, roles in kinds.items():
            moved = probe.moved(DISPLACEMENT * rng.normal(size=probe.shape))
            start = time.perf_counter()
            probe.model.evaluate([moved], roles)
            times[kind].append(1e3 * (time.perf_counter() - start))
        rounds += 1
    return {kind: _cost(values[2:]) for kind, values in times.items()}  # the first two warm up


def _cost(values: Sequence[float]) -> Cost:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return Cost(float(middle), float(low), float(high), len(values))


def speed_up(costs: Mapping[str, Cost], stride: int) -> float:
    """How many times faster than conservative forces at every inner step.

    An outer step costs ``stride - 1`` direct evaluations and one of both forces in one pass; what
    i-PI takes itself comes on top.
    """
    outer = (stride - 1) * costs[str(Role.DIRECT)].median_ms + costs["both"].median_ms
    return stride * costs[str(Role.CONSERVATIVE)].median_ms / outer
