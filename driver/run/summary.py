"""The summary of a run: state, speed, evaluations, drift and temperature."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..ipi.properties import Properties
from ..statistics import mean, slope, with_error
from .job import Job

__all__ = ["Summary", "summarize"]


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
        predictions: conservative requests that were predicted (hits), that were not (misses), and
            forces that were made in vain (wasted).
        gaps: of each fast and slow force field that were asked for the same structures: their
            names, the gap and the one on the model's card.
        drift_meV_per_atom_ps: steady slope of the conserved quantity, which also walks, of all
            rows.
        drift_error: its standard error, with what a random walk makes of it.
        without_energy: force field whose energy the conserved quantity lacks, so that its slope
            would mean nothing; ``None`` if there is none.
        temperature_K: mean of all rows.
        temperature_error_K: its standard error by block averages.
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
    drift_meV_per_atom_ps: float | None
    drift_error: float | None
    without_energy: str | None
    temperature_K: float | None
    temperature_error_K: float | None
    found: Mapping[str, Any] | None = None

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    def __str__(self) -> str:
        lines = [f"{self.state}: {self.steps or 0} steps in {self.wall_s:.1f} s"]
        if self.ms_per_inner_step is not None:
            lines[0] += f", {self.ms_per_inner_step:.1f} ms per inner step"
        if self.evaluations:
            counts = ", ".join(f"{n} {kind}" for kind, n in self.evaluations.items() if n)
            of_last = f" of the last of {self.drivers} drivers" * (self.drivers > 1)
            lines.append(f"evaluations{of_last}: {counts}")
        lines += [_describe_gap(gap) for gap in self.gaps or ()]
        if self.drift_meV_per_atom_ps is not None:
            drift = with_error(self.drift_meV_per_atom_ps, self.drift_error)
            lines.append(f"drift of the conserved quantity: {drift} meV/atom/ps")
        elif self.without_energy is not None:
            lines.append(
                "drift of the conserved quantity: not told, since it lacks the energy of "
                f"'{self.without_energy}' (energy: model among its <parameters>)"
            )
        if self.temperature_K is not None:
            temperature = with_error(self.temperature_K, self.temperature_error_K)
            lines.append(f"temperature: {temperature} K")
        return "\n".join(lines)


def summarize(
    state: str,
    rows: Properties,
    job: Job,
    *,
    wall_s: float,
    pace: tuple[float, float] | None,
    drivers: int = 1,
) -> Summary:
    """Summarize a run.

    Args:
        state: ``finished``, ``interrupted`` or ``failed``.
        rows: all rows of the properties file.
        job: the run.
        wall_s: how long it took.
        pace: seconds and outer steps between the first and the last row seen; ``None`` if fewer
            than two were seen.
        drivers: how many were started.
    """
    drift = drift_error = temperature = temperature_error = None
    conserved = rows.conserved if job.without_energy is None else None
    if rows.time is not None and conserved is not None and job.n_atoms:
        drift, drift_error = slope(rows.time, conserved / job.n_atoms * 1e3)
    if rows.temperature is not None:
        temperature, temperature_error = mean(rows.temperature)
    report = _read_report(job.files.report)
    return Summary(
        state=state,
        steps=None if rows.step is None else int(rows.step[-1]),
        wall_s=round(wall_s, 3),
        ms_per_inner_step=None if pace is None else pace[0] * 1e3 / (pace[1] * job.inner_steps),
        drivers=drivers,
        evaluations=report.get("evaluations"),
        predictions=report.get("predictions"),
        gaps=report.get("gaps"),
        drift_meV_per_atom_ps=_finite(drift),
        drift_error=_finite(drift_error),
        without_energy=job.without_energy,
        temperature_K=_finite(temperature),
        temperature_error_K=_finite(temperature_error),
    )


def _read_report(path: Path) -> Mapping[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):  # a driver that was killed leaves none
        return {}


def _describe_gap(gap: Mapping[str, Any]) -> str:
    """One pair of force fields in words."""
    line = f"gap of {gap['fast']} to {gap['slow']}: {gap['rmse_meV_per_A']:.1f} meV/Å"
    if gap["card_meV_per_A"] is not None:
        line += f" (its card: {gap['card_meV_per_A']:.1f})"
    if gap["far_above_card"]:
        line += "; warning: far above its card, it is used outside of what it was made for"
    return line


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
