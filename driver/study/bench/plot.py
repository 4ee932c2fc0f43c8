"""The plot of ``halfkick bench``: shares of the time of an inner step."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....models.plotting import BLUE, GREEN, RED, YELLOW, new_figure, style_axes
from .ratios import shares
from .results import BenchResults
from .simulation import FFDIRECT, HALFKICK, TWO_DRIVERS

__all__ = ["draw_shares"]

COLORS = {
    "model": BLUE,
    "neighbour lists": GREEN,
    "driver and sockets": RED,
    "i-PI": YELLOW,
}
MARKERS = {HALFKICK: "o", FFDIRECT: "s", TWO_DRIVERS: "D"}


def draw_shares(results: BenchResults, path: Path) -> None:
    """One bar for each simulation with multiple time steps: shares, and runs as results.

    Nothing is drawn without such a simulation.
    """
    setups = [setup for setup in results.times if setup.mode == "mts"]
    if not setups:
        return
    figure = new_figure(2.4 + 2.2 * len(setups), 4.2, dpi=150)
    panels = figure.subplots(1, len(setups), squeeze=False)[0]
    for axis, setup in zip(panels, setups, strict=True):
        bottom = 0.0
        for name, height in shares(results, setup).items():
            axis.bar(0.0, height, 0.5, bottom, color=COLORS[name], label=name)
            bottom += height
        for backend, marker in MARKERS.items():
            if backend in results.times[setup]:
                times = np.array(results.times[setup][backend]) / results.stride
                low, middle, high = np.percentile(times, [25, 50, 75])
                spread = [[middle - low], [high - middle]]
                style = {"color": "0.15", "marker": marker, "linestyle": "none", "capsize": 3}
                axis.errorbar(0.5, middle, spread, label=backend, mfc="white", **style)
        beads = f"{setup.beads} beads" if setup.beads > 1 else "1 bead"
        axis.set_title(f"{setup.atoms} atoms, {beads}", fontsize=9)
        axis.set_xlim(-0.5, 0.9)
        axis.set_xticks([])
        style_axes(axis, grid=False)
    panels[0].set_ylabel("ms per inner step")
    handles = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside right center", frameon=False)
    figure.suptitle(f"stride {results.stride}; bars: parts alone", fontsize=10)
    figure.savefig(path)
