"""Verdicts: the claims of multiple time stepping, and whether runs bear them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import InputError
from ...statistics import with_error
from ..analysis.collect import Analysis
from ..analysis.observables import Quantity, Scalar, deviation, difference
from ..analysis.report import AnalysisReport
from ..analysis.structure import GROUPS
from .optimise import RECIPES, Optimised, rates

__all__ = ["NEAR", "Verdict", "alike", "answer", "known", "near", "verdicts"]

SHAPES = (*GROUPS, "bond length", "density profile")
NEAR = 2.0  # standard errors within which values are equal
MAX_DEVIATION = 1.5  # RMS difference of two curves that are equal, in units of its error
MIN_HEATING_RATIO = 100.0  # times the drift of MTS


@dataclass(frozen=True)
class Verdict:
    """A claim, what was found, and whether it holds; ``None`` where the runs do not tell."""

    claim: str
    found: str
    holds: bool | None


def verdicts(
    reports: Mapping[str, AnalysisReport],
    targets: Mapping[str, Mapping[str, float]],
    optimised: Sequence[Optimised] = (),
) -> list[Verdict]:
    """Compare what was found with what is claimed.

    Args:
        reports: of each ensemble, with the runs of conservative, direct and corrected forces.
        targets: of each ensemble with a thermostat, kinetic temperatures of species, K.
        optimised: optimisations.
    """
    judged = []
    for ensemble, report in reports.items():
        if ensemble == "nve":
            judged += _isolated(report)
        else:
            judged += _thermal(ensemble, report, targets.get(ensemble, {}))
    return judged + _optimised(optimised)


def answer(verdict: Verdict) -> str:
    """In a word or two."""
    return {True: "holds", False: "does not hold!", None: "not known"}[verdict.holds]


def _isolated(report: AnalysisReport) -> list[Verdict]:
    conservative, direct, mts = (known(a, Quantity.DRIFT) for a in report.analyses)
    return [
        near("nve, MTS: drifts as conservative forces do", mts, conservative),
        _heats(direct, mts),
        *alike("nve, MTS", report.analyses[0], report.analyses[2], "vibrations"),
    ]


def _thermal(ensemble: str, report: AnalysisReport, targets: Mapping[str, float]) -> list[Verdict]:
    conservative, _, mts = report.analyses
    judged = []
    for species, kelvin in sorted(targets.items()):
        one = known(mts, Quantity.TEMPERATURE, species)
        other = known(conservative, Quantity.TEMPERATURE, species)
        what = f"{ensemble}, MTS: {one.name}"
        judged.append(near(f"{what} is the target", one, replace(one, value=kelvin, error=0.0)))
        judged.append(near(f"{what} is that of conservative forces", one, other))
    what = f"{ensemble}, MTS"
    return judged + [v for group in SHAPES for v in alike(what, conservative, mts, group)]


def known(analysis: Analysis, quantity: Quantity, species: str | None = None) -> Scalar:
    """A quantity without which nothing can be judged."""
    scalar = analysis.find(quantity, species)
    if scalar is None:
        of = f" of {species}" if species else ""
        raise InputError(
            f"expected the {quantity.value}{of} in the outputs of '{analysis.label}', got none; "
            "choose longer runs"
        )
    return scalar


def near(claim: str, one: Scalar, other: Scalar) -> Verdict:
    """Whether two values are equal within their errors."""
    sigmas = difference(one, other)
    against = with_error(other.value, other.error) if other.error else f"{other.value:.1f}"
    text = f"{with_error(one.value, one.error)} against {against} {one.unit}"
    if sigmas is None:
        return Verdict(claim, text, None)
    return Verdict(claim, f"{text}: {sigmas:+.1f} σ", abs(sigmas) < NEAR)


def _heats(direct: Scalar, mts: Scalar) -> Verdict:
    """Judged by what the drift of MTS may be at most: its value or its error."""
    most = max(abs(mts.value), mts.error or 0.0)
    ratio = abs(direct.value) / most if most else float("inf")
    text = f"{with_error(direct.value, direct.error)} meV/atom/ps, {ratio:.0f} times MTS"
    claim = f"nve: direct forces alone drift {MIN_HEATING_RATIO:g} times faster than MTS"
    return Verdict(claim, text, ratio >= MIN_HEATING_RATIO)


def alike(what: str, conservative: Analysis, other: Analysis, group: str) -> list[Verdict]:
    """Whether curves of a group are those of conservative forces.

    Args:
        what: begins the claim.
        conservative: the runs to compare with.
        other: those that are compared.
        group: of curves.
    """
    judged = []
    for curve in (c for c in conservative.curves if c.group == group):
        if (same := other.curve(group, curve.name)) is not None:
            value = deviation(curve, same)
            claim = f"{what}: {group} {curve.name} is that of conservative forces"
            text = "" if value is None else f"RMS difference {value:.2f} of its error"
            judged.append(Verdict(claim, text, None if value is None else value < MAX_DEVIATION))
    return judged


def _optimised(optimised: Sequence[Optimised]) -> list[Verdict]:
    if not optimised:
        return []
    (_, conservative, *_), (_, direct, *_), (_, both, *_) = rates(optimised)
    claim = "optimisation by direct, then conservative forces succeeds as often as by the latter"
    text = f"{both} against {conservative}; direct forces alone {direct}"
    alone, _, after = (np.mean([o.success for o in optimised if o.recipe == r]) for r in RECIPES)
    return [Verdict(claim, text, bool(after >= alone) if alone else None)]
