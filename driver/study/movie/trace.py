"""Lines that grow: the conserved quantities of runs, or their temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ....models.plotting import style_axes, widen
from .take import Take

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Trace"]

LINEAR = 1000.0  # meV/atom
"""Beyond such a change the axis is logarithmic, but for a hundredth of it around zero."""
LEAST_ENERGY, LEAST_TEMPERATURE = 1e-3, 1.0
"""What an axis shows at least, meV/atom and K: what is constant needs no digits of its rounding."""


class Trace:
    """Energies where every run has written one, else temperatures, over simulated time.

    Args:
        axes: to draw on.
        takes: the runs.
        colors: of each.
    """

    def __init__(self, axes: Axes, takes: Sequence[Take], colors: Sequence[str]) -> None:
        changes = [take.change for take in takes if take.change is not None]
        has_energies = len(changes) == len(takes)
        warmth = [
            np.full(len(take.times), np.nan) if take.temperature is None else take.temperature
            for take in takes
        ]
        self._curves = list(
            zip([take.times for take in takes], changes if has_energies else warmth, strict=True)
        )
        self._lines = [
            axes.plot(*curve, color=color, linewidth=1.5)[0]
            for curve, color in zip(self._curves, colors, strict=True)
        ]
        self._tips = [
            axes.plot([], [], color=color, marker="o", markersize=4.5, clip_on=False)[0]
            for color in colors
        ]
        axes.set_xlabel("time (ps)")
        axes.set_ylabel("energy change\n(meV/atom)" if has_energies else "temperature\n(K)")
        axes.locator_params(axis="x", nbins=2 + 3 * len(takes))
        axes.set_xlim(0.0, max(take.times[-1] for take in takes))
        self._fix_height(axes, has_energies)
        style_axes(axes)

    def draw(self, rows: Sequence[int]) -> None:
        """Draw each curve up to a row."""
        for (x, y), line, tip, row in zip(self._curves, self._lines, self._tips, rows, strict=True):
            line.set_data(x[: row + 1], y[: row + 1])
            tip.set_data(x[row : row + 1], y[row : row + 1])

    def _fix_height(self, axes: Axes, has_energies: bool) -> None:
        """The height of what has been drawn so far: the curves to their ends."""
        drawn: NDArray[np.float64] = np.concatenate([y for _, y in self._curves])
        if np.isnan(drawn).all():
            return
        if has_energies and np.nanmax(np.abs(drawn)) > LINEAR:
            axes.set_yscale("symlog", linthresh=LINEAR / 100)
            axes.yaxis.set_major_formatter("{x:g}")
            axes.set_ylim(2 * min(np.nanmin(drawn), -LINEAR / 100), 2 * max(np.nanmax(drawn), 0))
        widen(axes, drawn, LEAST_ENERGY if has_energies else LEAST_TEMPERATURE)
        axes.set_ylim(axes.get_ylim())
