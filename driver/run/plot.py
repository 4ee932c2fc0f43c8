"""Plots of energies and temperature over time, of one run or of several."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...models.plotting import BLUE, GREY, PALETTE, RED, new_figure, style_axes, widen
from ..ipi.properties import Properties

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_comparison", "draw_energies"]

Drawn = Mapping[str, tuple[Properties, int | None]]
"""Label -> rows of the properties file, and the number of atoms, ``None`` if it is not known."""

PANELS = {
    "conserved": ("conserved quantity", BLUE),
    "potential": ("potential energy", GREY),
    "temperature": ("temperature", RED),
}
LEAST_RANGE = {"meV/atom": 1e-3, "eV": 1e-6, "K": 1.0}
"""What an axis shows at least: what is constant needs no digits of its rounding."""


def draw_energies(systems: Drawn, title: str, path: Path) -> None:
    """Draw conserved quantity, potential energy and temperature over time.

    Energies are in meV per atom (eV in all if the number of atoms is not known), relative to the
    first row. Columns that are not there are left out; nothing is drawn without rows.

    Args:
        systems: those of a run, drawn over each other.
        title: above the panels.
        path: the picture to write.
    """
    of_all = [rows for rows, _ in systems.values()]
    panels = [name for name in PANELS if any(_known(rows, name) is not None for rows in of_all)]
    if not panels:
        return
    figure = new_figure(7.0, 1.2 + 1.7 * len(panels), dpi=150)
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, name in zip(axes, panels, strict=True):
        _draw_panel(axis, name, systems)
    axes[-1].set_xlabel(next(_x_axis(rows)[1] for rows, _ in systems.values() if len(rows)))
    if len(systems) > 1:
        axes[0].legend(frameon=False, fontsize=7, ncols=5)
    figure.suptitle(title)
    figure.align_ylabels()
    figure.savefig(path)


def _known(rows: Properties, name: str) -> NDArray[np.float64] | None:
    """A column of shape (rows,), if it is written."""
    values: NDArray[np.float64] | None = getattr(rows, name)
    return values


def _draw_panel(axis: Axes, name: str, systems: Drawn) -> None:
    """One column of all systems."""
    what, color = PANELS[name]
    colors = cycle([color] if len(systems) == 1 else PALETTE)
    per_atom = all(n_atoms for _, n_atoms in systems.values())
    unit = "K" if name == "temperature" else "meV/atom" if per_atom else "eV"
    drawn = []
    for (label, (rows, n_atoms)), chosen in zip(systems.items(), colors, strict=False):
        if (values := _known(rows, name)) is None:
            continue
        if name != "temperature":
            values = (values - values[0]) * (1e3 / n_atoms if per_atom and n_atoms else 1.0)
        x, marker = _x_axis(rows)[0], "o" if len(rows) < 20 else None
        axis.plot(x, values, color=chosen, linewidth=1.2, marker=marker, markersize=3, label=label)
        drawn.append(values)
    axis.set_ylabel(f"{what}\n({unit})")
    style_axes(axis)
    axis.ticklabel_format(axis="y", useOffset=False)
    widen(axis, np.concatenate(drawn), LEAST_RANGE[unit])
    if name == "temperature" and len(drawn) == 1 and len(drawn[0]) > 1:
        average = float(np.mean(drawn[0]))
        axis.axhline(average, color=color, linewidth=0.8, linestyle="--", alpha=0.6)
        axis.set_title(f"mean {average:.0f} K", fontsize=9, loc="right", color=color)


def _x_axis(rows: Properties) -> tuple[NDArray[np.float64], str]:
    """What to draw over, shape (rows,), and its label."""
    if rows.time is not None:
        return rows.time, "time (ps)"
    if rows.step is not None:
        return rows.step, "step"
    return np.arange(len(rows), dtype=float), "row"


def draw_comparison(runs: Drawn, path: Path) -> None:
    """Draw conserved quantity and temperature of several runs over each other.

    Args:
        runs: label -> rows and number of atoms (energies are then in meV per atom, else in meV).
        path: the picture to write. The energy axis is linear up to 1 meV and logarithmic beyond,
            so that a run that heats and one that does not fit into one picture.
    """
    figure = new_figure(7.5, 5.0, dpi=150)
    energy, temperature = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    x_label = ""
    changes = []
    for (label, (rows, n_atoms)), color in zip(runs.items(), cycle(PALETTE), strict=False):
        x, x_label = _x_axis(rows)
        if rows.conserved is not None:
            changes.append((rows.conserved - rows.conserved[0]) * (1e3 / (n_atoms or 1)))
            energy.plot(x, changes[-1], color=color, linewidth=1.4, label=label)
        if rows.temperature is not None:
            temperature.plot(x, rows.temperature, color=color, linewidth=1.0)
    if changes:
        widen(energy, np.concatenate(changes), LEAST_RANGE["meV/atom"])
    warmth = [rows.temperature for rows, _ in runs.values() if rows.temperature is not None]
    if warmth:
        widen(temperature, np.concatenate(warmth), LEAST_RANGE["K"])
    energy.set_yscale("symlog", linthresh=1.0, linscale=1.0)
    energy.yaxis.set_major_formatter("{x:g}")
    energy.set_ylabel("change of the\nconserved quantity (meV/atom)")
    energy.legend(frameon=False, loc="upper left")
    temperature.ticklabel_format(axis="y", useOffset=False)
    temperature.set_ylabel("temperature (K)")
    temperature.set_xlabel(x_label)
    for axis in (energy, temperature):
        style_axes(axis)
    figure.align_ylabels()
    figure.savefig(path)
