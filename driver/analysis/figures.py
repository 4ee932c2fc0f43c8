"""What one run tells, or several of one kind together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from halfkick.driver.analysis import motion, structure, thermo
from halfkick.driver.analysis.outputs import Run
from halfkick.driver.analysis.values import Curve, Scalar

__all__ = ["Analysis", "analyze_together", "pooled"]


@dataclass(frozen=True, eq=False)
class Analysis:
    """Figures and curves of one run, or of several of one kind."""

    label: str
    runs: list[Run]
    scalars: list[Scalar]
    curves: list[Curve]


def analyze_together(runs: Sequence[Run]) -> Analysis:
    """Take all figures and curves of runs of one kind, and the mean of each."""
    scalars, curves = [], []
    for run in runs:
        scalars.append(thermo.scalars(run) + motion.scalars(run))
        curves.append(thermo.curves(run) + structure.curves(run) + motion.curves(run))
    label = "+".join(run.label for run in runs)
    if len(runs) == 1:
        return Analysis(label, list(runs), scalars[0], curves[0])
    lengths = np.array([_length(run) for run in runs])
    return Analysis(label, list(runs), _scalars(scalars, lengths), _curves(curves, lengths))


def pooled(
    values: NDArray[np.float64], errors: NDArray[np.float64], lengths: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of runs by their lengths, and its standard error.

    Where runs differ by more than their errors, these are too small: they are scaled by the root
    of chi² for each degree of freedom, as the Particle Data Group does, over all points together.

    Args:
        values: of each run, shape (runs, points).
        errors: likewise.
        lengths: of the runs, shape (runs,).
    """
    weights = lengths / lengths.sum()
    mean, error = weights @ values, np.sqrt(weights**2 @ errors**2)
    known = np.isfinite(errors) & (errors > 1e-3 * np.nanmax(errors, initial=0.0))
    known = known.all(axis=0)
    if not known.any():
        return mean, error
    chi = (((values - mean) / np.where(known, errors, 1.0))[:, known] ** 2).sum(axis=0)
    return mean, error * np.sqrt(max(1.0, float(chi.mean()) / (len(values) - 1)))


def _scalars(found: Sequence[list[Scalar]], lengths: NDArray[np.float64]) -> list[Scalar]:
    together = []
    for scalar in found[0]:
        same = [next((s for s in of_run if s.name == scalar.name), None) for of_run in found]
        if None in same:
            continue
        values = np.array([[s.value] for s in same])
        errors = np.array([[np.nan if s.error is None else s.error] for s in same])
        (value,), (error,) = pooled(values, errors, lengths)
        error = float(error) if np.isfinite(error) else None
        together.append(replace(scalar, value=float(value), error=error))
    return together


def _curves(found: Sequence[list[Curve]], lengths: NDArray[np.float64]) -> list[Curve]:
    together = []
    for curve in found[0]:
        key = curve.group, curve.name
        same = [next((c for c in of_run if (c.group, c.name) == key), None) for of_run in found]
        if None in same:
            continue
        inside = [(curve.x >= c.x[0]) & (curve.x <= c.x[-1]) for c in same]
        x = curve.x[np.all(inside, axis=0)]
        values = np.array([np.interp(x, c.x, c.y) for c in same])
        errors = np.array([np.interp(x, c.x, c.error) for c in same])
        y, error = pooled(values, errors, lengths)
        together.append(replace(curve, x=x, y=y, error=error))
    return together


def _length(run: Run) -> float:
    """How long a run is: ps, or rows where there is no time."""
    time = run.columns.get("time")
    if time is None:
        return float(len(next(iter(run.columns.values()))))
    return float(time[-1] - time[0]) or 1.0
