"""What one run tells, or several of one kind together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from . import motion, structure, thermo
from .observables import Curve, Scalar
from .run_data import Run

__all__ = ["Analysis", "analyze_together", "pooled"]


@dataclass(frozen=True, eq=False)
class Analysis:
    """Figures and curves of one run, or of several of one kind."""

    label: str
    runs: list[Run]
    scalars: list[Scalar]
    curves: list[Curve]

    def scalar(self, name: str) -> Scalar | None:
        """The figure of that name, if there is one."""
        return next((s for s in self.scalars if s.name == name), None)

    def curve(self, group: str, name: str) -> Curve | None:
        """The curve of that name, if there is one."""
        return next((c for c in self.curves if (c.group, c.name) == (group, name)), None)


def analyze_together(runs: Sequence[Run]) -> Analysis:
    """Take all figures and curves of runs of one kind, and the mean of each that all have."""
    one, *others = each = [_analyze(run) for run in runs]
    if not others:
        return one
    lengths = np.array([_length(run) for run in runs])
    scalars = [[a.scalar(s.name) for a in each] for s in one.scalars]
    curves = [[a.curve(c.group, c.name) for a in each] for c in one.curves]
    return Analysis(
        "+".join(run.label for run in runs),
        list(runs),
        [_scalar(same, lengths) for same in scalars if None not in same],
        [_curve(same, lengths) for same in curves if None not in same],
    )


def _analyze(run: Run) -> Analysis:
    scalars = thermo.scalars(run) + motion.scalars(run)
    curves = thermo.curves(run) + structure.curves(run) + motion.curves(run)
    return Analysis(run.label, [run], scalars, curves)


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


def _scalar(same: Sequence[Scalar], lengths: NDArray[np.float64]) -> Scalar:
    values = np.array([[s.value] for s in same])
    errors = np.array([[np.nan if s.error is None else s.error] for s in same])
    (value,), (error,) = pooled(values, errors, lengths)
    error = float(error) if np.isfinite(error) else None
    return replace(same[0], value=float(value), error=error)


def _curve(same: Sequence[Curve], lengths: NDArray[np.float64]) -> Curve:
    """Where all of them have values, at the points of the first."""
    first = same[0]
    inside = [(first.x >= c.x[0]) & (first.x <= c.x[-1]) for c in same]
    x = first.x[np.all(inside, axis=0)]
    values = np.array([np.interp(x, c.x, c.y) for c in same])
    errors = np.array([np.interp(x, c.x, c.error) for c in same])
    y, error = pooled(values, errors, lengths)
    return replace(first, x=x, y=y, error=error)


def _length(run: Run) -> float:
    """How long a run is: ps, or rows where there is no time."""
    time = run.columns.get("time")
    if time is None:
        return float(len(next(iter(run.columns.values()))))
    return float(time[-1] - time[0]) or 1.0
