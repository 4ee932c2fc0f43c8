"""The gap between direct and conservative forces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..base import Role
from ..gap import GapStatistics, force_gap, gap_statistics
from ..served import served_forces
from ..statistics import rms
from .probe import Probe

__all__ = ["Gap", "gap"]


@dataclass(frozen=True)
class Gap:
    """The gap on some frames, and what of the direct head is removed before it is served.

    Attributes:
        species: symbol -> gap of its atoms; ``all`` for all of them.
        net_force_meV_per_A: RMS over frames and directions of the mean force on an atom by the
            direct head, which is removed before it is served.
        net_torque_meV: RMS of the torque per atom that the served direct force exerts on a
            molecule about its centre; ``None`` for periodic structures.
        frames: how many.
    """

    species: dict[str, GapStatistics]
    net_force_meV_per_A: float
    net_torque_meV: float | None
    frames: int


def gap(probes: Sequence[Probe]) -> Gap:
    """Compare both forces of every probe's structure."""
    gaps, means, torques = [], [], []
    for probe in probes:
        results = probe.results()
        direct = results[Role.DIRECT].forces
        gaps.append(force_gap(direct, results[Role.CONSERVATIVE].forces))
        means.append(direct.mean(axis=0))
        if not probe.structure.pbc.any():
            positions = probe.structure.positions
            served = served_forces(direct, Role.DIRECT)
            torque = np.cross(positions - positions.mean(axis=0), served).sum(axis=0)
            torques.append(torque / len(positions))
    return Gap(
        gap_statistics([probe.structure.numbers for probe in probes], gaps),
        1e3 * rms(means),
        1e3 * rms(torques) if torques else None,
        len(probes),
    )
