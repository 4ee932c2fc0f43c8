"""The plot and the table of ``halfkick tune``: drift and speed over the outer step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from rich.table import Table

from ....models.plotting import PALETTE, new_figure, style_axes
from ...statistics import with_error
from .result import DriftPrediction, StrideResult

__all__ = ["draw_strides", "strides_table"]

MS_PER_DAY = 86400e3


def draw_strides(
    results: Sequence[StrideResult], limit: float, chosen: StrideResult | None, path: Path
) -> None:
    """Draw drifts of all seeds, their RMS, what was predicted, and the speed, over the outer step.

    Args:
        results: of all settings.
        limit: of the drift, meV/atom/ps.
        chosen: the setting that is recommended.
        path: the picture to write.
    """
    figure = new_figure(7.0, 5.5, dpi=150)
    drift, speed = figure.subplots(2, 1, sharex=True)
    inner_steps = dict.fromkeys(r.inner_fs for r in results)
    for inner, color in zip(inner_steps, cycle(PALETTE), strict=False):
        same = [r for r in results if r.inner_fs == inner]
        outer = np.array([r.inner_fs * r.stride for r in same])
        for x, result in zip(outer, same, strict=True):
            drifts = np.abs(result.drifts)
            drift.plot([x] * len(drifts), drifts, "o", color=color, ms=3, alpha=0.5)
            if not np.isfinite(result.rms_drift):
                drift.axvline(x, color=color, linestyle=":", linewidth=1.0)
        rms = np.array([r.rms_drift for r in same])
        rms[~np.isfinite(rms)] = np.nan
        drift.plot(outer, rms, color=color, label=f"{inner:g} fs inside, RMS of seeds")
        if any(r.foreseen for r in same):
            predicted = [np.nan if r.foreseen is None else r.foreseen.rms_drift for r in same]
            drift.plot(outer, predicted, "-.", color=color, label="predicted")
        speeds = [_ps_per_day(r) for r in same]
        speed.plot(outer, [np.nan if s is None else s for s in speeds], "o-", color=color, ms=4)
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


def strides_table(results: Sequence[StrideResult]) -> Table:
    """Return all numbers, a row for each setting."""
    species = list(dict.fromkeys(s for result in results for s in result.temperatures))
    table = Table(
        "inner × M, fs",
        "drift (RMS), meV/atom/ps",
        "RMS predicted; growth, 1/ps",
        f"T({', '.join(species)}), K",
        "T conf., K",
        "gap, meV/Å; lasts, fs",
        "ps/day",
        "holds",
    )
    for result in results:
        mean = float(np.mean(result.drifts))
        drift = f"{with_error(mean, result.drift_error)} ({result.rms_drift:.2g})"
        table.add_row(
            f"{result.inner_fs:g} × {result.stride} = {result.inner_fs * result.stride:g}",
            drift if np.isfinite(mean) else "ended early",
            "" if result.foreseen is None else _prediction(result.foreseen),
            ", ".join(_text(result.temperatures.get(s), ".0f") for s in species),
            _text(result.configurational_K, ".0f"),
            f"{_text(result.gap_meV_per_A, '.1f')}; {_text(result.gap_fs, '.1f')}",
            _text(_ps_per_day(result), ".3g"),
            "yes" if result.holds else "no",
        )
    return table


def _prediction(prediction: DriftPrediction) -> str:
    return f"{prediction.rms_drift:.2g}; {prediction.growth_per_ps:.2f}"


def _ps_per_day(result: StrideResult) -> float | None:
    return None if result.ms_per_ps is None else MS_PER_DAY / result.ms_per_ps


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
