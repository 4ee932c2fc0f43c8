"""The parity plots of a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..base import Role
from ..plotting import new_figure
from ..statistics import by_species, rms
from .measure import Predictions

__all__ = ["draw_parity"]

MOST_POINTS = 5000


def draw_parity(found: Predictions, path: Path) -> None:
    """Draw predictions against labels: energies, conservative and direct forces."""
    panels = len(found.forces) + (found.energy is not None)
    figure = new_figure(4.2 * panels, 4.0)
    axes = iter(figure.subplots(1, panels, squeeze=False)[0])
    if found.energy is not None:
        pairs = found.energy / found.n_atoms[:, None]
        pairs = pairs - pairs[:, 0].mean()
        axis = next(axes)
        axis.plot(*pairs.T, ".", ms=3, color="tab:blue")
        decorate(axis, f"energy, RMSE {1e3 * rms(pairs[:, 1] - pairs[:, 0]):.2f} meV/atom",
                 "eV/atom, less the mean label")  # fmt: skip
    rng = np.random.default_rng(0)
    for role in sorted(found.forces, key=str):
        axis, pairs = next(axes), found.forces[role]
        for name, members in by_species(pairs, found.numbers).items():
            if name != "all":
                points = members.reshape(-1, 2)
                points = points[rng.permutation(len(points))[:MOST_POINTS]]
                axis.plot(*points.T, ".", ms=2, alpha=0.5, label=name)
        wrong = 1e3 * rms(pairs[..., 1] - pairs[..., 0])
        kind = "conservative" if role is Role.CONSERVATIVE else "direct"
        decorate(axis, f"{kind} forces, RMSE {wrong:.0f} meV/Å", "eV/Å")
        axis.legend(markerscale=4)
    figure.savefig(path, dpi=110)


def decorate(axis: object, title: str, unit: str) -> None:
    """Give a panel its diagonal, title and labels."""
    low = min(axis.get_xlim()[0], axis.get_ylim()[0])
    high = max(axis.get_xlim()[1], axis.get_ylim()[1])
    axis.locator_params(nbins=5)
    axis.plot([low, high], [low, high], "-", color="grey", lw=0.8, zorder=0)
    axis.set(title=title, xlabel=f"label, {unit}", ylabel=f"prediction, {unit}", aspect="equal")
