"""Runs side by side on one clock, above how far their conserved quantities have gone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ....models.plotting import GREY, PALETTE, RED, new_figure, style_axes, widen
from .scene import Scene
from .take import By, Take

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Film", "caption"]

DPI = 100
TRACE_HEIGHT = 1.7  # inches
TEXT_HEIGHT = 0.75  # inches, above and below a structure
LEAST_RANGE = {"meV/atom": 1e-3, "K": 1.0}
LINEAR = 1000.0  # meV/atom
"""Beyond such a change the axis is logarithmic, but for a hundredth of it around zero."""
MINUTE, HOUR = 60.0, 3600.0


class Film:
    """Draws the pictures of a film one by one, in any order.

    Args:
        takes: the runs.
        by: the clock that they share.
        frames: how many pictures there are.
        rotation: of all structures, as ASE writes it: ``-90x,10y``.
        size: width of a structure, pixels.
    """

    def __init__(
        self, takes: Sequence[Take], by: By, frames: int, rotation: str, size: int
    ) -> None:
        self._takes, self._by, self._frames = takes, by, frames
        self._scenes = [Scene(take, rotation) for take in takes]
        self._colors = [color for color, _ in zip(cycle(PALETTE), takes)]
        self._end = max(take.end(by) for take in takes)
        width = size / DPI
        tallest = max(width * scene.aspect for scene in self._scenes)
        columns = len(takes)
        self._figure = new_figure(width * columns, tallest + TEXT_HEIGHT + TRACE_HEIGHT, DPI)
        grid = self._figure.add_gridspec(
            2, columns, height_ratios=[tallest + TEXT_HEIGHT, TRACE_HEIGHT]
        )
        self._panels = [self._figure.add_subplot(grid[0, k]) for k in range(columns)]
        self._trace = self._figure.add_subplot(grid[1, :])
        self._lines = self._draw_axes()
        self.draw(0)
        self._figure.set_layout_engine("none")  # nothing moves from here on

    def now(self, index: int) -> float:
        """What the clock shows in a picture: ps, or s of wall time."""
        return self._end * index / max(self._frames - 1, 1)

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Draw a picture, shape (height, width, 3)."""
        now = self.now(index)
        for take, scene, panel, (line, tip) in zip(
            self._takes, self._scenes, self._panels, self._lines, strict=True
        ):
            scene.draw(panel, take.beads(now, self._by))
            told, is_over = caption(take, now, self._by)
            panel.set_xlabel(told, color=RED if is_over and take.has_failed else "0.15")
            values = self._values(take)
            if values is not None:
                row = take.row(now, self._by)
                line.set_data(take.times[: row + 1], values[: row + 1])
                tip.set_data(take.times[row : row + 1], values[row : row + 1])
        self._figure.canvas.draw()
        return np.array(self._figure.canvas.buffer_rgba())[:, :, :3]

    @property
    def _traces_energy(self) -> bool:
        return all(take.change is not None for take in self._takes)

    def _values(self, take: Take) -> NDArray[np.float64] | None:
        """What is traced of a run, shape (rows,)."""
        return take.change if self._traces_energy else take.temperature

    def _draw_axes(self):
        for take, panel, color in zip(self._takes, self._panels, self._colors, strict=True):
            panel.set_title(take.label, color=color, fontsize=11, fontweight="bold")
            panel.set(xticks=[], yticks=[], aspect="equal")
            panel.spines[:].set_visible(False)
            panel.xaxis.label.set(fontsize=10, linespacing=1.3)
        axes = self._trace
        lines = []
        for color in self._colors:
            (line,) = axes.plot([], [], color=color, linewidth=1.5)
            (tip,) = axes.plot([], [], color=color, marker="o", markersize=4.5, clip_on=False)
            lines.append((line, tip))
        known = [v for take in self._takes if (v := self._values(take)) is not None]
        drawn = np.concatenate(known) if known else np.zeros(1)
        margin = 0.06 * np.ptp(drawn)
        axes.set_ylim(drawn.min() - margin, drawn.max() + margin)
        if self._traces_energy and np.abs(drawn).max() > LINEAR:
            axes.set_yscale("symlog", linthresh=LINEAR / 100)
        widen(axes, drawn, LEAST_RANGE["meV/atom" if self._traces_energy else "K"])
        axes.set_xlim(0.0, max(take.times[-1] for take in self._takes))
        axes.set_xlabel("time (ps)")
        axes.set_ylabel("energy change\n(meV/atom)" if self._traces_energy else "temperature\n(K)")
        style_axes(axes)
        return lines


def caption(take: Take, now: float, by: By) -> tuple[str, bool]:
    """What is written below a run, all of one row; and whether the run is over by then."""
    row = take.row(now, by)
    told = [f"{take.times[row]:.3f} ps"]
    if take.wall_s is not None:
        told.append(f"after {duration(take.wall_s[row])}")
    below = []
    if take.temperature is not None:
        below.append(f"{take.temperature[row]:,.0f} K".replace(",", "\u2009"))
    is_over = bool(take.ending) and now >= take.end(by)
    if is_over:
        below.append(take.ending)
    return "  ".join(told) + "\n" + "  ".join(below), is_over


def duration(seconds: float) -> str:
    """It in words of two units at most."""
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min {seconds % MINUTE:02.0f} s"
    return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:02.0f} min"
