"""Ratios of times that were measured in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ....models.base import Role
from .inputs import Setup
from .model_only import model_only_name
from .results import BATCH, BOTH, CONSECUTIVE, DIRECT, BenchResults, reference
from .roundtrip import DRIVER, MINIMAL_CLIENT
from .simulation import FFDIRECT, HALFKICK, IPI_ONLY, NULL_BACKEND, TWO_DRIVERS

__all__ = ["compute_ratios", "model_ms", "shares"]

WARM_UP_STEPS = 20  # outer steps before stalls count
STALL_RATIO = 3.0  # to the median


def compute_ratios(results: BenchResults) -> dict[str, float]:
    """Name and value of each ratio that the measured times allow."""
    ratios: dict[str, float] = {}
    for setup, times in results.times.items():
        if setup.mode == "mts":
            ratios |= _of_multiple_steps(results, setup, times)
        for backend in (FFDIRECT, TWO_DRIVERS):
            if backend in times:
                ratio = _median(times[HALFKICK]) / _median(times[backend])
                ratios[f"{_label(setup)}: halfkick / {backend}"] = ratio
    return ratios | _of_sizes(results) | _of_driver(results)


def _of_multiple_steps(
    results: BenchResults, setup: Setup, times: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    row = times.get(CONSECUTIVE, times[HALFKICK])
    stalls = sum(t > STALL_RATIO * _median(row) for t in row[WARM_UP_STEPS:])
    expected = model_ms(results, setup)
    return {
        f"{_label(setup)}: halfkick / model alone": _median(times[HALFKICK]) / expected,
        f"{_label(setup)}: stalls in {max(len(row) - WARM_UP_STEPS, 0)} steps": float(stalls),
    }


def model_ms(results: BenchResults, setup: Setup) -> float:
    """What the model alone takes for an outer step, in chunks of the quickest size, ms."""
    times = results.times[setup]

    def quickest(roles: frozenset[Role]) -> float:
        sizes = range(1, setup.beads + 1)
        names = [model_only_name(roles, size, setup.atoms) for size in sizes]
        return min(_median(times[name]) for name in names if name in times)

    return setup.beads * ((results.stride - 1) * quickest(DIRECT) + quickest(BOTH))


def shares(results: BenchResults, setup: Setup) -> dict[str, float]:
    """Where the time of an inner step goes, ms: measured one by one, not fitted to the sum."""
    times = results.times[setup]
    names = [name for name in times if name.startswith("neighbour lists")]
    neighbors = setup.beads * sum(_median(times[name]) for name in names)
    ipi = _median(times[IPI_ONLY]) / results.stride
    return {
        "model": model_ms(results, setup) / results.stride - neighbors,
        "neighbour lists": neighbors,
        "driver and sockets": max(_median(times[NULL_BACKEND]) / results.stride - ipi, 0.0),
        "i-PI": ipi,
    }


def _of_sizes(results: BenchResults) -> dict[str, float]:
    """How the time for an atom grows with the number of atoms."""
    same = [s for s in results.times if s.mode == "mts" and s.beads == results.options.beads[0]]
    if not same:
        return {}
    small, *large = sorted(same, key=lambda s: s.atoms)
    return {
        f"time for an atom, {s.atoms} / {small.atoms} atoms": (
            _median(results.times[s][HALFKICK])
            / _median(results.times[small][HALFKICK])
            * small.atoms
            / s.atoms
        )
        for s in large
    }


def _of_driver(results: BenchResults) -> dict[str, float]:
    """The driver's own time for a structure, without i-PI, ms, and that of the minimal client."""
    atoms = next(iter(results.times)).atoms
    times = results.times.get(reference(results.options, atoms), {})
    return {
        f"{what}, ms for a structure, {atoms} atoms x {beads}": _median(times[name])
        for beads in (1, BATCH)
        for what in (DRIVER, MINIMAL_CLIENT)
        if (name := f"{what}, {atoms} atoms x {beads}") in times
    }


def _label(setup: Setup) -> str:
    return f"{setup.mode}, {setup.beads} bead{'s'[: setup.beads > 1]}, {setup.atoms} atoms"


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))
