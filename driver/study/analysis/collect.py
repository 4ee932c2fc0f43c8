"""All observables of one run, or of several of one kind together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from . import bonds, motion, profile, quantum, structure, thermo
from .observables import Curve, Quantity, Scalar
from .run_data import Run

__all__ = ["Analysis", "analyze_together", "pooled"]


T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Analysis:
    """Scalars and curves of one run, or of several of one kind.

    Attributes:
        missing: what their outputs do not tell, in words.
    """

    label: str
    runs: list[Run]
    scalars: list[Scalar]
    curves: list[Curve]
    missing: Sequence[str] = ()

    def scalar(self, name: str) -> Scalar | None:
        """The scalar of that name, if there is one: the same one of another run."""
        return next((s for s in self.scalars if s.name == name), None)

    def find(self, quantity: Quantity, species: str | None = None) -> Scalar | None:
        """A quantity of one species or of all atoms, if the runs tell it."""
        matching = (s for s in self.scalars if (s.quantity, s.species) == (quantity, species))
        return next(matching, None)

    def curve(self, group: str, name: str) -> Curve | None:
        """The curve of that name, if there is one."""
        return next((c for c in self.curves if (c.group, c.name) == (group, name)), None)


def analyze_together(runs: Sequence[Run]) -> Analysis:
    """Take all scalars and curves of runs of one kind, and the mean of each that all have."""
    first, *others = each = [_analyze(run) for run in runs]
    if not others:
        return first
    lengths = np.array([_length(run) for run in runs])
    scalars = [_known([a.scalar(s.name) for a in each]) for s in first.scalars]
    curves = [_known([a.curve(c.group, c.name) for a in each]) for c in first.curves]
    return Analysis(
        "+".join(run.label for run in runs),
        list(runs),
        [_pool_scalars(same, lengths) for same in scalars if len(same) == len(each)],
        [_pool_curves(same, lengths) for same in curves if len(same) == len(each)],
        list(dict.fromkeys(note for analysis in each for note in analysis.missing)),
    )


def _analyze(run: Run) -> Analysis:
    scalars = thermo.scalars(run) + quantum.scalars(run) + bonds.scalars(run) + motion.scalars(run)
    curves = thermo.curves(run) + structure.curves(run) + profile.curves(run)
    curves += quantum.curves(run) + bonds.curves(run) + motion.curves(run)
    return Analysis(run.label, [run], scalars, curves, quantum.missing(run))


def _known(values: Sequence[T | None]) -> list[T]:
    return [value for value in values if value is not None]


def pooled(
    values: NDArray[np.float64], errors: NDArray[np.float64], lengths: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of runs by their lengths, and its standard error, both of shape (points,).

    Where runs differ by more than their errors, these are too small: they are scaled by the root
    of chi² for each degree of freedom, as the Particle Data Group does (Phys. Rev. D 110, 030001
    (2024), introduction), over all points together.

    ======================  ===================================================
    w_i = l_i / Σ l         ``weights``
    Σ w_i y_i               ``mean``
    √(Σ w_i² σ_i²)          ``error``
    χ² = Σ (y_i − ȳ)²/σ_i²  ``chi_squared``, of each point with known errors
    ======================  ===================================================

    Args:
        values: y_i of each run, shape (runs, points).
        errors: σ_i, likewise; NaN where they are not known.
        lengths: l_i of the runs, shape (runs,).
    """
    weights = lengths / lengths.sum()
    mean, error = weights @ values, np.sqrt(weights**2 @ errors**2)
    known = np.isfinite(errors) & (errors > 1e-3 * np.nanmax(errors, initial=0.0))
    points: NDArray[np.bool_] = np.all(known, axis=0)
    if not points.any():
        return mean, error
    chi_squared = (((values - mean) / np.where(points, errors, 1.0))[:, points] ** 2).sum(axis=0)
    return mean, error * np.sqrt(max(1.0, float(chi_squared.mean()) / (len(values) - 1)))


def _pool_scalars(same: Sequence[Scalar], lengths: NDArray[np.float64]) -> Scalar:
    """The mean of one scalar of all runs; lengths of shape (runs,)."""
    values = np.array([[s.value] for s in same])
    errors = np.array([[np.nan if s.error is None else s.error] for s in same])
    (value,), (error,) = pooled(values, errors, lengths)
    return replace(same[0], value=float(value), error=float(error) if np.isfinite(error) else None)


def _pool_curves(same: Sequence[Curve], lengths: NDArray[np.float64]) -> Curve:
    """The mean where all of them have values, at the points of the first; lengths as above."""
    first = same[0]
    inside = [(first.x >= c.x[0]) & (first.x <= c.x[-1]) for c in same]
    x = first.x[np.all(inside, axis=0)]
    values = np.array([np.interp(x, c.x, c.y) for c in same])
    errors = np.array([np.interp(x, c.x, c.error) for c in same])
    y, error = pooled(values, errors, lengths)
    theories = [np.interp(x, c.x, c.theory) for c in same if c.theory is not None]
    theory = None
    if len(theories) == len(same):
        theory, _ = pooled(np.array(theories), np.zeros_like(errors), lengths)
    return replace(first, x=x, y=y, error=error, theory=theory)


def _length(run: Run) -> float:
    """How long a run is: ps, or rows where there is no time."""
    time = run.columns.get("time")
    if time is None:
        return float(len(next(iter(run.columns.values()))))
    return float(time[-1] - time[0]) or 1.0
