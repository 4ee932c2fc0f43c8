"""The summary of a run: state, speed, evaluations, drift and temperature of each system."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..ipi.properties import Properties
from ..statistics import mean, slope, with_error
from .gaps import describe_gaps
from .job import Job
from .systems import RunSystem, names_of

__all__ = ["Summary", "SystemSummary", "describe_stepper", "read_report", "summarize"]


@dataclass(frozen=True)
class SystemSummary:
    """What one system comes to; ``None`` where the outputs do not tell.

    Attributes:
        drift_meV_per_atom_ps: steady slope of the conserved quantity, which also walks, of all
            rows.
        drift_error: its standard error, with what a random walk makes of it.
        drift_remark: why i-PI's conserved quantity is none, whatever the forces; ``None`` if it is.
        without_energy: force field whose energy the conserved quantity lacks, so that its slope
            would mean nothing; ``None`` if there is none.
        temperature_K: mean of all rows.
        temperature_error_K: its standard error by block averages.
        temperature_remark: why it is not the target's in the mean; ``None`` if it is.
        centroid_temperature_K: the same of the centroids of ring polymers, where it is written.
        centroid_temperature_error_K: its standard error.
    """

    drift_meV_per_atom_ps: float | None
    drift_error: float | None
    drift_remark: str | None
    without_energy: str | None
    temperature_K: float | None
    temperature_error_K: float | None
    temperature_remark: str | None
    centroid_temperature_K: float | None = None
    centroid_temperature_error_K: float | None = None

    @classmethod
    def of(cls, system: RunSystem, rows: Properties) -> SystemSummary:
        """Sum up all rows of a system."""
        drift = drift_error = temperature = temperature_error = centroids = centroids_error = None
        conserved = rows.conserved if system.without_energy is None else None
        if rows.time is not None and conserved is not None and system.n_atoms:
            drift, drift_error = slope(rows.time, conserved / system.n_atoms * 1e3)
        if rows.temperature is not None:
            temperature, temperature_error = mean(rows.temperature)
        if rows.centroid_temperature is not None:
            centroids, centroids_error = mean(rows.centroid_temperature)
        return cls(
            drift_meV_per_atom_ps=_finite(drift),
            drift_error=_finite(drift_error),
            drift_remark=system.conserved_remark or None,
            without_energy=system.without_energy,
            temperature_K=_finite(temperature),
            temperature_error_K=_finite(temperature_error),
            temperature_remark=system.temperature_remark or None,
            centroid_temperature_K=_finite(centroids),
            centroid_temperature_error_K=_finite(centroids_error),
        )

    def lines(self) -> list[str]:
        """It in words."""
        lines = []
        if self.drift_meV_per_atom_ps is not None:
            drift = with_error(self.drift_meV_per_atom_ps, self.drift_error)
            text = f"drift of the conserved quantity: {drift} meV/atom/ps"
            lines.append(_remarked(text, self.drift_remark))
        elif self.without_energy is not None:
            lines.append(
                "drift of the conserved quantity: not told, since it lacks the energy of "
                f"'{self.without_energy}' (energy: model among its <parameters>)"
            )
        if self.temperature_K is not None:
            temperature = with_error(self.temperature_K, self.temperature_error_K)
            lines.append(_remarked(f"temperature: {temperature} K", self.temperature_remark))
        if self.centroid_temperature_K is not None:
            error = self.centroid_temperature_error_K
            of_centroids = with_error(self.centroid_temperature_K, error)
            lines.append(f"temperature of centroids: {of_centroids} K")
        return lines


@dataclass(frozen=True)
class Summary:
    """The contents of ``summary.json``; ``None`` where the outputs do not tell.

    Attributes:
        state: ``finished``, ``interrupted`` or ``failed``.
        steps: outer steps in the outputs, those before a restart included.
        wall_s: of this run, starting i-PI and loading the model included.
        ms_per_inner_step: of this run, from the first row of outputs to the last.
        drivers: started in this run; what follows up to the gaps is of the last one, since a
            driver that is killed takes its counts along.
        evaluations: structures evaluated: direct, conservative, both in one pass.
        predictions: structures that were asked for both forces and evaluated in one pass (hits) or
            in two (misses), and those evaluated for both in vain (wasted).
        gaps: of each fast and slow force field that were asked for the same structures: their
            names, the gap and the one on the model's card.
        systems: what each comes to, by the prefix of its outputs, or by its number; in the file
            that of a single system stands beside the rest.
        stepper: of a network: steps of this run, and how many were refused, by the limit that was
            passed; else ``None``.
        found: of a run that i-PI ended by itself, as of an optimisation; else ``None``.
    """

    state: str
    steps: int | None
    wall_s: float
    ms_per_inner_step: float | None
    drivers: int
    evaluations: Mapping[str, int] | None
    predictions: Mapping[str, int] | None
    gaps: Sequence[Mapping[str, Any]] | None
    systems: Mapping[str, SystemSummary]
    stepper: Mapping[str, Any] | None = None
    found: Mapping[str, Any] | None = None

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        content = asdict(self)
        if len(self.systems) == 1:
            content |= next(iter(content.pop("systems").values()))
        path.write_text(json.dumps(content, indent=2) + "\n")

    def __str__(self) -> str:
        lines = [f"{self.state}: {self.steps or 0} steps in {self.wall_s:.1f} s"]
        if self.ms_per_inner_step is not None:
            lines[0] += f", {self.ms_per_inner_step:.1f} ms per inner step"
        if self.evaluations:
            counts = ", ".join(f"{n} {kind}" for kind, n in self.evaluations.items() if n)
            of_last = f" of the last of {self.drivers} drivers" * (self.drivers > 1)
            lines.append(f"evaluations{of_last}: {counts}")
        if self.stepper is not None:
            lines.append(describe_stepper(self.stepper))
        lines += describe_gaps(self.gaps or ())
        for name, system in self.systems.items():
            of = f"{name}: " if len(self.systems) > 1 else ""
            lines += [of + line for line in system.lines()]
        return "\n".join(lines)


def summarize(
    state: str,
    rows: Sequence[Properties],
    job: Job,
    *,
    wall_s: float,
    pace: tuple[float, float] | None,
    drivers: int = 1,
) -> Summary:
    """Summarize a run.

    Args:
        state: ``finished``, ``interrupted`` or ``failed``.
        rows: all rows of the properties file of each system.
        job: the run.
        wall_s: how long it took.
        pace: seconds and outer steps between the first and the last row seen; ``None`` if fewer
            than two were seen.
        drivers: how many were started.
    """
    steps = [int(of_system.step[-1]) for of_system in rows if of_system.step is not None]
    report = read_report(job.files.report)
    return Summary(
        state=state,
        steps=min(steps, default=None),
        wall_s=round(wall_s, 3),
        ms_per_inner_step=None if pace is None else pace[0] * 1e3 / (pace[1] * job.inner_steps),
        drivers=drivers,
        evaluations=report.get("evaluations"),
        predictions=report.get("predictions"),
        gaps=report.get("gaps"),
        stepper=read_report(job.files.stepper) or None,
        systems={
            name: SystemSummary.of(system, of_system)
            for name, system, of_system in zip(
                names_of(job.systems), job.systems, rows, strict=True
            )
        },
    )


def describe_stepper(report: Mapping[str, Any]) -> str:
    """Steps of a network, and those that were refused, in words."""
    refused = ", ".join(f"{count} for {limit}" for limit, count in report["refused"].items())
    return f"steps by the network: {report['steps']}, refused: {refused or 'none'}"


def read_report(path: Path) -> Mapping[str, Any]:
    """What a process left as JSON; nothing if it left none."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):  # a driver that was killed leaves none
        return {}


def _remarked(text: str, remark: str | None) -> str:
    return f"{text} ({remark})" if remark else text


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
