"""Plots of energies and temperature over time, of one run or of several."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...models.plotting import BLUE, GREY, PALETTE, RED, new_figure, style_axes
from ..ipi.properties import Properties

__all__ = ["draw_comparison", "draw_energies"]

CONSERVED, POTENTIAL, TEMPERATURE = BLUE, GREY, RED


def draw_energies(rows: Properties, n_atoms: int | None, title: str, path: Path) -> None:
    """Draw conserved quantity, potential energy and temperature over time.

    Energies are in meV per atom (eV in all if the number of atoms is not known), relative to the
    first row. Columns that are not there are left out; nothing is drawn without rows.

    Args:
        rows: of the properties file.
        n_atoms: ``None`` if it is not known.
        title: above the panels.
        path: the picture to write.
    """
    per, scale = ("meV/atom", 1e3 / n_atoms) if n_atoms else ("eV", 1.0)
    columns = [
        (f"conserved quantity\n({per})", _relative(rows.conserved, scale), CONSERVED),
        (f"potential energy\n({per})", _relative(rows.potential, scale), POTENTIAL),
        ("temperature\n(K)", rows.temperature, TEMPERATURE),
    ]
    panels = [(label, values, color) for label, values, color in columns if values is not None]
    if not panels:
        return
    x, x_label = _x_axis(rows)
    figure = new_figure(7.0, 1.2 + 1.7 * len(panels), dpi=150)
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    marker = "o" if len(x) < 20 else None
    for axis, (label, values, color) in zip(axes, panels, strict=True):
        axis.plot(x, values, color=color, linewidth=1.2, marker=marker, markersize=3)
        axis.set_ylabel(label)
        style_axes(axis)
        axis.ticklabel_format(axis="y", useOffset=False)
    if rows.temperature is not None and len(x) > 1:
        average = float(np.mean(rows.temperature))
        axes[-1].axhline(average, color=TEMPERATURE, linewidth=0.8, linestyle="--", alpha=0.6)
        axes[-1].set_title(f"mean {average:.0f} K", fontsize=9, loc="right", color=TEMPERATURE)
    axes[-1].set_xlabel(x_label)
    figure.suptitle(title)
    figure.align_ylabels()
    figure.savefig(path)


def _relative(values: NDArray[np.float64] | None, scale: float) -> NDArray[np.float64] | None:
    """Change since the first row, shape (rows,), as ``values``."""
    return None if values is None else (values - values[0]) * scale


def _x_axis(rows: Properties) -> tuple[NDArray[np.float64], str]:
    """What to draw over, shape (rows,), and its label."""
    if rows.time is not None:
        return rows.time, "time (ps)"
    if rows.step is not None:
        return rows.step, "step"
    return np.arange(len(rows), dtype=float), "row"


def draw_comparison(runs: Mapping[str, tuple[Properties, int | None]], path: Path) -> None:
    """Draw conserved quantity and temperature of several runs over each other.

    Args:
        runs: label -> rows and number of atoms (energies are then in meV per atom, else in meV).
        path: the picture to write. The energy axis is linear up to 1 meV and logarithmic beyond,
            so that a run that heats and one that does not fit into one picture.
    """
    figure = new_figure(7.5, 5.0, dpi=150)
    energy, temperature = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    x_label = ""
    for (label, (rows, n_atoms)), color in zip(runs.items(), cycle(PALETTE), strict=False):
        x, x_label = _x_axis(rows)
        if rows.conserved is not None:
            change = _relative(rows.conserved, 1e3 / (n_atoms or 1))
            energy.plot(x, change, color=color, linewidth=1.4, label=label)
        if rows.temperature is not None:
            temperature.plot(x, rows.temperature, color=color, linewidth=1.0)
    energy.set_yscale("symlog", linthresh=1.0, linscale=1.0)
    energy.yaxis.set_major_formatter("{x:g}")
    energy.set_ylabel("change of the\nconserved quantity (meV/atom)")
    energy.legend(frameon=False, loc="upper left")
    temperature.set_ylabel("temperature (K)")
    temperature.set_xlabel(x_label)
    for axis in (energy, temperature):
        style_axes(axis)
    figure.align_ylabels()
    figure.savefig(path)
