"""Runs side by side on one clock, above how far their conserved quantities have gone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from ....models.plotting import PALETTE, RED, new_figure
from .scene import Scene
from .take import By, Take
from .trace import Trace

__all__ = ["Film", "caption", "duration"]

DPI = 100
TEXT_HEIGHT, TRACE_HEIGHT = 0.75, 1.7  # inches, of what stands above and below the structures
MINUTE, HOUR = 60.0, 3600.0


class Film:
    """Draws the pictures of a film one by one, in any order.

    Args:
        takes: the runs.
        by: the clock that they share.
        frames: how many pictures there are, at least two.
        rotation: of all structures, as ASE writes it: ``-90x,10y``.
        size: width of a structure, pixels.
    """

    def __init__(
        self, takes: Sequence[Take], by: By, frames: int, rotation: str, size: int
    ) -> None:
        self._takes, self._by, self._frames = takes, by, frames
        self._end = max(take.end(by) for take in takes)
        self._scenes = [Scene(take, rotation) for take in takes]
        colors = [color for color, _ in zip(cycle(PALETTE), takes, strict=False)]
        width = size / DPI
        height = TEXT_HEIGHT + width * max(scene.aspect for scene in self._scenes)
        self._figure = new_figure(width * len(takes), height + TRACE_HEIGHT, DPI)
        grid = self._figure.add_gridspec(2, len(takes), height_ratios=[height, TRACE_HEIGHT])
        self._trace = Trace(self._figure.add_subplot(grid[1, :]), takes, colors)
        self._panels = [self._figure.add_subplot(grid[0, k]) for k in range(len(takes))]
        for panel, take, color in zip(self._panels, takes, colors, strict=True):
            panel.set_title(take.label, color=color, fontsize=11, fontweight="bold")
            panel.set(xticks=[], yticks=[], aspect="equal")
            panel.spines[:].set_visible(False)
            panel.xaxis.label.set(fontsize=10, linespacing=1.3)
        self.draw(0)
        self._figure.set_layout_engine("none")  # nothing moves from here on

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Draw a picture by its number, shape (height, width, 3)."""
        now = self._end * index / (self._frames - 1)
        for take, scene, panel in zip(self._takes, self._scenes, self._panels, strict=True):
            scene.draw(panel, take.beads(now, self._by))
            too_early = take.has_failed and take.is_over(now, self._by)
            panel.set_xlabel(caption(take, now, self._by), color=RED if too_early else "0.15")
        self._trace.draw([take.row(now, self._by) for take in self._takes])
        self._figure.canvas.draw()
        return np.array(self._figure.canvas.buffer_rgba())[:, :, :3]  # type: ignore[attr-defined]


def caption(take: Take, now: float, by: By) -> str:
    """What is written below a run when the clock shows ``now``: all of one row."""
    row = take.row(now, by)
    times, state = [f"{take.times[row]:.3f} ps"], []
    if take.wall_s is not None:
        times.append(f"after {duration(take.wall_s[row])}")
    if take.temperature is not None:
        state.append(f"{take.temperature[row]:.0f} K")
    if take.is_over(now, by):
        state.append(take.ending)
    return "  ".join(times) + "\n" + "  ".join(state)


def duration(seconds: float) -> str:
    """It in its two largest units."""
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    unit, part, names = (MINUTE, 1.0, "min s") if seconds < HOUR else (HOUR, MINUTE, "h min")
    large, small = names.split()
    return f"{seconds // unit:.0f} {large} {seconds % unit // part:02.0f} {small}"
