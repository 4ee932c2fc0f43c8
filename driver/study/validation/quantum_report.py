"""What the ways of path integrals come to: verdicts in units of errors, and one page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from ...statistics import with_error
from ..analysis.collect import Analysis
from ..analysis.html import page, section, table
from ..analysis.observables import Quantity, Scalar, difference
from ..analysis.report import AnalysisReport, sections
from ..analysis.structure import GROUPS
from .quantum import CONVERGED, WAYS, QuantumOptions
from .subject import Subject
from .verdicts import NEAR, Verdict, alike, answer, near

__all__ = ["html", "to_json", "verdicts"]

SHAPES = (*GROUPS, "bond length", "radius of gyration")
MAX_ERROR = 0.015  # of a kinetic energy, so that being equal within errors says something
CLOSE = 0.03  # of kinetic energies under PIGLET to converged ones
RUNS_AWAY = 5.0  # standard errors of the drift of direct forces alone
EQUAL = (Quantity.KINETIC_ENERGY, Quantity.GYRATION)


def verdicts(reports: Mapping[str, AnalysisReport]) -> list[Verdict]:
    """Compare each way with its twin.

    Args:
        reports: of each thermostat, whose first run is the twin.
    """
    judged = []
    for report in reports.values():
        twin, *others = report.analyses
        judged += _precise(twin)
        for other in others:
            if other.label == "pile_direct":
                judged += _runs_away(other, twin)
            elif other.label in WAYS:
                judged += _precise(other) + _equal(other, twin)
    if (piglet := reports.get("piglet")) is not None:
        judged += _at_target(piglet.analyses)
        judged += _converged(reports, piglet.analyses)
    return judged


def html(
    plan: QuantumOptions,
    subject: Subject,
    reports: Mapping[str, AnalysisReport],
    judged: Sequence[Verdict],
) -> str:
    """One page: what holds, and all figures and pictures under each thermostat."""
    system = subject.source.source.systems[0]
    note = (
        f"Of {subject.name}, {system.beads} beads, inner step {subject.source.inner_fs:g} fs, M = "
        f"{subject.source.stride}, corrections contracted to {plan.contraction} (rpc), "
        f"{plan.length_ps:g} ps for each run. ± is one standard error; a claim of equality holds "
        f"within {NEAR:g} of them. Each way is compared with conservative forces at every step "
        "under the same thermostat, with the same beads. Under PIGLET i-PI's temperature is not "
        "the target's, that of the centroids is; the conserved quantity is left out where forces "
        "have no energy, as under contraction."
    )
    rows = [[v.claim, v.found, answer(v)] for v in judged]
    parts = [section("What holds", note), table(["claim", "found", ""], rows)]
    for bath, report in reports.items():
        parts += [f"<h1>{bath.upper()}</h1>", *sections(report)]
    return page("Quantum nuclei on conservative, corrected and direct forces", parts)


def to_json(
    plan: QuantumOptions, reports: Mapping[str, AnalysisReport], judged: Sequence[Verdict]
) -> str:
    """All of it as JSON."""
    return json.dumps(
        {
            "plan": asdict(plan) | {"input": plan.input and str(plan.input)},
            "verdicts": [asdict(v) for v in judged],
            "runs": {name: json.loads(report.to_json()) for name, report in reports.items()},
        },
        indent=2,
    )


def _of_species(analysis: Analysis) -> list[Scalar]:
    return [s for s in analysis.scalars if s.quantity in EQUAL and s.species]


def _precise(analysis: Analysis) -> list[Verdict]:
    errors = {
        s.species: s.error / s.value
        for s in _of_species(analysis)
        if s.quantity is Quantity.KINETIC_ENERGY and s.error is not None
    }
    claim = f"{analysis.label}: kinetic energies are known to {MAX_ERROR:.1%}"
    if not errors:
        return [Verdict(claim, "", None)]
    text = ", ".join(f"{species} {error:.1%}" for species, error in errors.items())
    return [Verdict(claim, text, max(errors.values()) <= MAX_ERROR)]


def _equal(other: Analysis, twin: Analysis) -> list[Verdict]:
    judged = []
    drift = [a.find(Quantity.DRIFT) for a in (other, twin)]
    if drift[0] is not None and drift[1] is not None:
        claim = f"{other.label}: drifts as conservative forces do"
        judged.append(near(claim, drift[0], drift[1]))
    for one in _of_species(other):
        if (same := twin.scalar(one.name)) is not None:
            claim = f"{other.label}: {one.name} is that of conservative forces"
            judged.append(near(claim, one, same))
    return judged + [v for group in SHAPES for v in alike(other.label, twin, other, group)]


def _runs_away(direct: Analysis, twin: Analysis) -> list[Verdict]:
    """Direct forces alone must show what the others are spared."""
    claim = f"{direct.label}: the conserved quantity runs away"
    own, other = direct.find(Quantity.DRIFT), twin.find(Quantity.DRIFT)
    if own is None or other is None:
        return [Verdict(claim, "", None)]
    sigmas = difference(own, other)
    text = f"{with_error(own.value, own.error)} against "
    text += f"{with_error(other.value, other.error)} {own.unit}"
    if sigmas is None:
        return [Verdict(claim, text, None)]
    return [Verdict(claim, f"{text}: {sigmas:+.1f} σ", sigmas > RUNS_AWAY)]


def _at_target(analyses: Sequence[Analysis]) -> list[Verdict]:
    judged = []
    for analysis in analyses:
        kelvin = analysis.runs[0].system.system.ensemble.temperature_K
        own = analysis.scalar("temperature of centroids")
        if own is not None and kelvin is not None:
            claim = f"{analysis.label}: centroids are at the target"
            judged.append(near(claim, own, replace(own, value=kelvin, error=0.0)))
    return judged


def _converged(reports: Mapping[str, AnalysisReport], piglet: Sequence[Analysis]) -> list[Verdict]:
    """Kinetic energies under PIGLET beside those of so many beads that they are converged."""
    plain = reports["pile"].analyses if "pile" in reports else []
    aims = [a for a in plain if a.label == CONVERGED]
    return [
        _close(f"{analysis.label}: {one.name}", one, same, aim.runs[0].beads)
        for aim in aims
        for analysis in piglet
        for one in _of_species(analysis)
        if one.quantity is Quantity.KINETIC_ENERGY and (same := aim.scalar(one.name)) is not None
    ]


def _close(what: str, one: Scalar, same: Scalar, beads: int) -> Verdict:
    apart = one.value / same.value - 1.0
    claim = f"{what} is within {CLOSE:.0%} of that of {beads} beads"
    text = f"{with_error(one.value, one.error)} against {with_error(same.value, same.error)}"
    return Verdict(claim, f"{text} {one.unit}: {apart:+.1%}", abs(apart) < CLOSE)
