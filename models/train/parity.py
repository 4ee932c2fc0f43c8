"""The parity plots of a model: predictions against labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..base import Role
from ..plotting import new_figure
from ..statistics import by_species, rms
from .measure import Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_parity"]

MAX_POINTS = 5000  # of a species


def draw_parity(predictions: Predictions, path: Path) -> None:
    """Draw predictions against labels: energies, conservative and direct forces."""
    panels = len(predictions.forces) + (predictions.energy is not None)
    figure = new_figure(4.2 * panels, 4.0)
    axes = iter(figure.subplots(1, panels, squeeze=False)[0])
    if predictions.energy is not None:
        pairs = predictions.energy / predictions.n_atoms[:, None]
        pairs = pairs - pairs[:, 0].mean()
        axis = next(axes)
        axis.plot(*pairs.T, ".", ms=3, color="tab:blue")
        decorate(axis, f"energy, RMSE {1e3 * rms(pairs[:, 1] - pairs[:, 0]):.2f} meV/atom",
                 "eV/atom, less the mean label")  # fmt: skip
    rng = np.random.default_rng(0)
    for role in sorted(predictions.forces, key=str):
        axis, pairs = next(axes), predictions.forces[role]
        for name, members in by_species(pairs, predictions.numbers).items():
            if name != "all":
                points = members.reshape(-1, 2)
                points = points[rng.permutation(len(points))[:MAX_POINTS]]
                axis.plot(*points.T, ".", ms=2, alpha=0.5, label=name)
        wrong = 1e3 * rms(pairs[..., 1] - pairs[..., 0])
        kind = "conservative" if role is Role.CONSERVATIVE else "direct"
        decorate(axis, f"{kind} forces, RMSE {wrong:.0f} meV/Å", "eV/Å")
        axis.legend(markerscale=4)
    figure.savefig(path, dpi=110)


def decorate(axis: Axes, title: str, unit: str) -> None:
    """Give a panel its diagonal, title and labels."""
    low = min(axis.get_xlim()[0], axis.get_ylim()[0])
    high = max(axis.get_xlim()[1], axis.get_ylim()[1])
    axis.locator_params(nbins=5)
    axis.plot([low, high], [low, high], "-", color="grey", lw=0.8, zorder=0)
    axis.set(title=title, xlabel=f"label, {unit}", ylabel=f"prediction, {unit}", aspect="equal")
