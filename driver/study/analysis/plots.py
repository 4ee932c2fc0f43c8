"""Pictures of curves, those of several runs over each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ...ipi.properties import read_properties
from ...run.picture import PALETTE, compare
from .observables import Curve
from .run_data import Run

__all__ = ["energies", "groups"]


def energies(runs: Sequence[Run]) -> bytes:
    """Conserved quantity and temperature of all runs, as PNG."""
    rows = {run.label: (read_properties(run.job.properties), run.job.n_atoms) for run in runs}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "energies.png"
        compare(rows, path)
        return path.read_bytes()


def groups(curves: Mapping[str, Sequence[Curve]]) -> Iterator[tuple[str, bytes]]:
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
        panels = [name for name in members if name != "canonical"]
        yield group, _panels(panels, chosen)


def _panels(names: Sequence[str], runs: Mapping[str, Mapping[str, Curve]]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 0.8 + 2.4 * len(names)), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
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
            if "canonical" in curves:
                exact = curves["canonical"]
                axis.plot(exact.x, exact.y, color="0.3", linewidth=1.0, linestyle="--")
            axis.set_xlabel(curve.x_label)
            axis.set_ylabel(curve.y_label)
        if name not in ("all", "found"):
            axis.set_title(name, fontsize=10, loc="right")
        axis.grid(color="0.9", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
