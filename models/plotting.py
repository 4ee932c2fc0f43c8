"""The look of all pictures: figures that need no display, one palette, one style of axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "PALETTE",
    "RED",
    "YELLOW",
    "new_figure",
    "style_axes",
    "widen",
]

RED, BLUE, YELLOW, GREEN, VIOLET = "#c0392b", "#1b6ca8", "#e0a030", "#3b8554", "#7a4fa3"
GREY = "#5b6770"
PALETTE = (RED, BLUE, YELLOW, GREEN, VIOLET)
"""Colours of runs that are drawn over each other, in this order."""


def new_figure(width: float, height: float, dpi: float | None = None) -> Figure:
    """Return a figure that is drawn in memory, whatever display there is.

    Args:
        width: in inches.
        height: in inches.
        dpi: pixels per inch; ``None`` for matplotlib's.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes, *, grid: bool = True) -> None:
    """Leave out the frame's upper and right lines; draw a faint grid."""
    if grid:
        axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def widen(axes: Axes, values: NDArray[np.float64], least: float) -> None:
    """Let the y axis show at least such a range, so that its labels need few digits.

    Args:
        axes: with everything drawn.
        values: all of those drawn, of any shape.
        least: range, in their unit.
    """
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if high - low < least:
        middle = 0.5 * (low + high)
        axes.set_ylim(middle - 0.5 * least, middle + 0.5 * least)
