"""The picture and the table of ``halfkick tune``: drift and speed over the outer step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from rich.table import Table

from ....models.plotting import PALETTE, new_figure, style_axes
from ...statistics import with_error
from .result import Foreseen, Row

__all__ = ["draw", "table"]

DAY_MS = 86400e3


def draw(rows: Sequence[Row], limit: float, chosen: Row | None, path: Path) -> None:
    """Draw drifts of all seeds, their RMS, what was foreseen, and the speed, over the outer step.

    Args:
        rows: of all settings.
        limit: of the drift, meV/atom/ps.
        chosen: the setting that is recommended.
        path: the picture to write.
    """
    figure = new_figure(7.0, 5.5, dpi=150)
    drift, speed = figure.subplots(2, 1, sharex=True)
    for inner, color in zip(dict.fromkeys(r.inner_fs for r in rows), cycle(PALETTE), strict=False):
        own = [r for r in rows if r.inner_fs == inner]
        outer = np.array([r.inner_fs * r.stride for r in own])
        for x, row in zip(outer, own, strict=True):
            drift.plot([x] * len(row.drifts), np.abs(row.drifts), "o", color=color, ms=3, alpha=0.5)
            if not np.isfinite(row.rms_drift):
                drift.axvline(x, color=color, linestyle=":", linewidth=1.0)
        rms = np.array([r.rms_drift for r in own])
        rms[~np.isfinite(rms)] = np.nan
        drift.plot(outer, rms, color=color, label=f"{inner:g} fs inside, RMS of seeds")
        if any(r.foreseen for r in own):
            rms = [np.nan if r.foreseen is None else r.foreseen.rms_drift for r in own]
            drift.plot(outer, rms, "-.", color=color, label="foreseen")
        speed.plot(outer, [_per_day(r) for r in own], "o-", color=color, ms=4)
    drift.axhline(limit, color="0.3", linewidth=0.8, linestyle="--", label="limit")
    if chosen is not None:
        for axis in (drift, speed):
            axis.axvline(chosen.inner_fs * chosen.stride, color="0.5", linewidth=6, alpha=0.2)
    drift.set_yscale("log")
    drift.set_ylabel("|drift| (meV/atom/ps)")
    drift.legend(frameon=False, fontsize=8)
    speed.set_ylabel("speed (ps/day)")
    speed.set_ylim(bottom=0.0)
    speed.set_xlabel("outer step (fs); dotted: a run that did not reach its end")
    for axis in (drift, speed):
        style_axes(axis)
    figure.savefig(path)


def table(rows: Sequence[Row]) -> Table:
    """Return all figures, a row for each setting."""
    species = list(dict.fromkeys(s for row in rows for s in row.temperatures))
    result = Table(
        "inner × M, fs",
        "drift (RMS), meV/atom/ps",
        "RMS foreseen; growth, 1/ps",
        f"T({', '.join(species)}), K",
        "T conf., K",
        "gap, meV/Å; lasts, fs",
        "ps/day",
        "holds",
    )
    for row in rows:
        mean = float(np.mean(row.drifts))
        drift = f"{with_error(mean, row.drift_error)} ({row.rms_drift:.2g})"
        result.add_row(
            f"{row.inner_fs:g} × {row.stride} = {row.inner_fs * row.stride:g}",
            drift if np.isfinite(mean) else "ended early",
            "" if row.foreseen is None else _foreseen(row.foreseen),
            ", ".join(_text(row.temperatures.get(s), ".0f") for s in species),
            _text(row.configurational_K, ".0f"),
            f"{_text(row.gap_meV_per_A, '.1f')}; {_text(row.gap_fs, '.1f')}",
            _text(_per_day(row), ".3g"),
            "yes" if row.holds else "no",
        )
    return result


def _foreseen(foreseen: Foreseen) -> str:
    return f"{foreseen.rms_drift:.2g}; {foreseen.growth_per_ps:.2f}"


def _per_day(row: Row) -> float | None:
    return None if row.ms_per_ps is None else DAY_MS / row.ms_per_ps


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
