"""What a line on a run says of its systems together: temperatures, and how far energies went."""

from __future__ import annotations

from collections.abc import Sequence

from ..ipi.properties import Properties
from .systems import RunSystem, names_of

__all__ = ["temperatures", "went"]


def temperatures(rows: Sequence[Properties], systems: Sequence[RunSystem]) -> str | None:
    """The last temperature of each system, from the lowest to the highest.

    Args:
        rows: of each system.
        systems: as many.
    """
    told = [
        (row.temperature[-1], row.centroid_temperature, system.temperature_remark)
        for row, system in zip(rows, systems, strict=True)
        if row.temperature is not None
    ]
    if not told:
        return None
    text = _range([kelvin for kelvin, _, _ in told])
    text += "".join(dict.fromkeys(_short(remark) for _, _, remark in told))
    centroids = [c[-1] for _, c, remark in told if c is not None and remark]
    return f"{text}, centroids {_range(centroids)}" if centroids else text


def went(
    starts: Sequence[Properties], rows: Sequence[Properties], systems: Sequence[RunSystem]
) -> str | None:
    """How far the conserved quantity of a system has gone, meV/atom; the farthest of several.

    Args:
        starts: the first row of each system.
        rows: the last one.
        systems: as many.
    """
    changes = [
        (float(row.conserved[-1] - start.conserved[-1]) / system.n_atoms * 1e3, name, system)
        for start, row, name, system in zip(starts, rows, names_of(systems), systems, strict=True)
        if start.conserved is not None and row.conserved is not None
        if system.n_atoms and not system.without_energy
    ]
    if not changes:
        return None
    change, name, system = max(changes, key=lambda one: abs(one[0]))
    of = f" of {name}" if len(systems) > 1 else ""
    return f"drift {change:+.2f} meV/atom{of}{_short(system.conserved_remark)}"


def _range(kelvin: Sequence[float]) -> str:
    low, high = min(kelvin), max(kelvin)
    return f"{low:.0f} K" if len(kelvin) == 1 else f"{low:.0f} to {high:.0f} K"


def _short(remark: str) -> str:
    return f" ({remark.partition(':')[0]})" if remark else ""
