"""How far the direct forces are from the conservative ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from ..base import Role, without_mean_force
from .probe import Probe

__all__ = ["Gap", "SpeciesGap", "compare", "gap"]


@dataclass(frozen=True)
class SpeciesGap:
    """Per component, meV/Å: RMSE and 99.9th percentile of the absolute difference."""

    rmse_meV_per_A: float  # noqa: N815
    p999_meV_per_A: float  # noqa: N815


@dataclass(frozen=True)
class Gap:
    """Conservative minus direct forces (these without their mean, as served) over some frames.

    Attributes:
        species: symbol -> gap of its atoms; ``all`` for all of them.
        net_force_meV_per_A: RMS over frames and directions of the mean force on an atom by the
            direct head, which is removed before it is served.
        net_torque_meV: RMS of the torque per atom that the served direct force exerts on a
            molecule about its centre; ``None`` for periodic structures.
        frames: how many.
    """

    species: dict[str, SpeciesGap]
    net_force_meV_per_A: float  # noqa: N815
    net_torque_meV: float | None  # noqa: N815
    frames: int


def gap(probes: Sequence[Probe]) -> Gap:
    """Compare both forces of every probe's structure."""
    given, served_all, numbers, means, torques = [], [], [], [], []
    for probe in probes:
        results = probe.results()
        raw = results[Role.DIRECT].forces
        served = without_mean_force(raw)
        given.append(results[Role.CONSERVATIVE].forces)
        served_all.append(served)
        numbers.append(probe.structure.numbers)
        means.append(raw.mean(axis=0))
        if not probe.structure.pbc.any():
            positions = probe.structure.positions
            torque = np.cross(positions - positions.mean(axis=0), served).sum(axis=0)
            torques.append(torque / len(positions))
    species = compare(np.concatenate(given), np.concatenate(served_all), np.concatenate(numbers))
    return Gap(
        species,
        1e3 * _rms(means),
        1e3 * _rms(torques) if torques else None,
        len(probes),
    )


def compare(
    conservative: NDArray[np.float64], direct: NDArray[np.float64], numbers: NDArray[np.int_]
) -> dict[str, SpeciesGap]:
    """Symbol (and ``all``) -> gap between forces of shape (n, 3), eV/Å, of atoms ``numbers``."""
    difference = conservative - direct
    groups = {"all": np.ones(len(numbers), bool)}
    groups |= {chemical_symbols[z]: numbers == z for z in np.unique(numbers)}
    return {name: _species(difference[chosen]) for name, chosen in groups.items()}


def _species(difference: NDArray[np.float64]) -> SpeciesGap:
    return SpeciesGap(1e3 * _rms(difference), 1e3 * float(np.quantile(np.abs(difference), 0.999)))


def _rms(values: Sequence[NDArray[np.float64]] | NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
