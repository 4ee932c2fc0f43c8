"""Plots of curves, those of several runs over each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ....models.plotting import PALETTE, new_figure, style_axes
from ...ipi.properties import read_properties
from ...run.plot import draw_comparison
from .observables import Curve
from .run_data import Run

__all__ = ["plot_energies", "plot_groups"]


def plot_energies(runs: Sequence[Run]) -> bytes:
    """Conserved quantity and temperature of all runs, as PNG."""
    systems = {run.label: run.system for run in runs}
    rows = {name: (read_properties(s.properties), s.n_atoms) for name, s in systems.items()}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "energies.png"
        draw_comparison(rows, path)
        return path.read_bytes()


def plot_groups(curves: Mapping[str, Sequence[Curve]]) -> Iterator[tuple[str, bytes]]:
    """One PNG for each group of curves, one panel for each name in it.

    Args:
        curves: label of a run -> its curves.
    """
    names: dict[str, dict[str, None]] = {}
    for of_run in curves.values():
        for curve in of_run:
            names.setdefault(curve.group, {})[curve.name] = None
    for group, members in names.items():
        chosen = {
            label: {c.name: c for c in of_run if c.group == group}
            for label, of_run in curves.items()
        }
        yield group, _panels(list(members), chosen)


def _panels(names: Sequence[str], runs: Mapping[str, Mapping[str, Curve]]) -> bytes:
    """One panel for each name, a curve of each run in it, and what theory says of that run."""
    figure = new_figure(7.5, 0.8 + 2.4 * len(names), dpi=130)
    axes = figure.subplots(len(names), 1, squeeze=False)[:, 0]
    for axis, name in zip(axes, names, strict=True):
        for (label, curves), color in zip(runs.items(), cycle(PALETTE), strict=False):
            if name not in curves:
                continue
            curve = curves[name]
            axis.plot(curve.x, curve.y, color=color, linewidth=1.2, label=label)
            if np.isfinite(curve.error).any():
                band = (curve.y - curve.error, curve.y + curve.error)
                axis.fill_between(curve.x, *band, color=color, alpha=0.25, linewidth=0)
            if curve.theory is not None:
                axis.plot(curve.x, curve.theory, color="0.3", linewidth=1.0, linestyle="--")
            axis.set_xlabel(curve.x_label)
            axis.set_ylabel(curve.y_label)
            if not curve.only:
                axis.set_title(name, fontsize=10, loc="right")
        style_axes(axis)
    axes[0].legend(frameon=False, fontsize=8)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
