"""Ratios and times that say how well halfkick does, computed within one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .inputs import Setup
from .model_only import alone_name
from .results import BATCH, BOTH, DIRECT, IN_A_ROW, Measured, reference
from .roundtrip import BARE, DRIVER

__all__ = ["figures", "model_ms", "shares"]

SETTLED = 20  # outer steps before stalls count
STALL = 3.0  # times the median


def figures(measured: Measured) -> dict[str, float]:
    """Name and value of each figure that the measured times allow."""
    found: dict[str, float] = {}
    for setup, times in measured.times.items():
        if setup.mode == "mts":
            found |= _of_multiple_steps(measured, setup, times)
        for way in ("ffdirect", "two drivers"):
            if way in times:
                ratio = _median(times["halfkick"]) / _median(times[way])
                found[f"{_label(setup)}: halfkick / {way}"] = ratio
    return found | _of_sizes(measured) | _of_driver(measured)


def _of_multiple_steps(
    measured: Measured, setup: Setup, times: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    row = times.get(IN_A_ROW, times["halfkick"])
    stalls = sum(t > STALL * _median(row) for t in row[SETTLED:])
    expected = model_ms(measured, setup)
    return {
        f"{_label(setup)}: halfkick / model alone": _median(times["halfkick"]) / expected,
        f"{_label(setup)}: stalls in {max(len(row) - SETTLED, 0)} steps": float(stalls),
    }


def model_ms(measured: Measured, setup: Setup) -> float:
    """What the model alone takes for an outer step, in chunks of the quickest size, ms."""
    times = measured.times[setup]

    def quickest(roles: frozenset) -> float:
        sizes = range(1, setup.beads + 1)
        names = [alone_name(roles, size, setup.atoms) for size in sizes]
        return min(_median(times[name]) for name in names if name in times)

    return setup.beads * ((measured.stride - 1) * quickest(DIRECT) + quickest(BOTH))


def shares(measured: Measured, setup: Setup) -> dict[str, float]:
    """Where the time of an inner step goes, ms: measured one by one, not fitted to the sum."""
    times = measured.times[setup]
    names = [name for name in times if name.startswith("neighbour lists")]
    neighbors = setup.beads * sum(_median(times[name]) for name in names)
    ipi = _median(times["i-PI"]) / measured.stride
    return {
        "model": model_ms(measured, setup) / measured.stride - neighbors,
        "neighbour lists": neighbors,
        "driver and sockets": max(_median(times["costless"]) / measured.stride - ipi, 0.0),
        "i-PI": ipi,
    }


def _of_sizes(measured: Measured) -> dict[str, float]:
    """How the time for an atom grows with the number of atoms."""
    same = [s for s in measured.times if s.mode == "mts" and s.beads == measured.options.beads[0]]
    small, *large = sorted(same, key=lambda s: s.atoms) or [None]
    return {
        f"time for an atom, {s.atoms} / {small.atoms} atoms": (
            _median(measured.times[s]["halfkick"])
            / _median(measured.times[small]["halfkick"])
            * small.atoms
            / s.atoms
        )
        for s in large
    }


def _of_driver(measured: Measured) -> dict[str, float]:
    """The driver's own time for a structure, without i-PI, ms, and that of the barest client."""
    atoms = next(iter(measured.times)).atoms
    times = measured.times.get(reference(measured.options, atoms), {})
    return {
        f"{what}, ms for a structure, {atoms} atoms x {beads}": _median(times[name])
        for beads in (1, BATCH)
        for what in (DRIVER, BARE)
        if (name := f"{what}, {atoms} atoms x {beads}") in times
    }


def _label(setup: Setup) -> str:
    return f"{setup.mode}, {setup.beads} bead{'s'[: setup.beads > 1]}, {setup.atoms} atoms"


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))
