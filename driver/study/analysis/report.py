"""The report of ``halfkick analyze``: all observables of runs, and where runs differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ....models.base import Role
from ....models.gap import force_gap, gap_statistics
from ...run.job import labels_of
from ...statistics import with_error
from .collect import Analysis, analyze_together
from .forces import both_forces, load_pair
from .html import image, page, section, table
from .observables import Scalar, deviation, difference
from .plots import plot_energies, plot_groups
from .run_data import Frames, Run
from .view import view

__all__ = ["AnalysisReport", "analyze", "html", "sections"]

MARKED_SIGMAS = 3.0  # standard errors beyond which a difference stands out
ERRORS = (
    "± is one standard error: by block averages (Flyvbjerg and Petersen 1989) for means, by blocks "
    "of the run, joined up to its halves, for curves, by groups of atoms for diffusion, as of a "
    "walk with scatter for the drift. What lasts longer than the run is in none of them."
)
TOGETHER = (
    "Of several runs (+) it is the mean by their lengths; where they differ by more than their "
    "errors, these are scaled by the root of chi² for each degree of freedom."
)
SIGMAS = (
    "In brackets, differences to the first run in units of their standard error; beyond "
    f"{MARKED_SIGMAS:g} they stand out."
)


@dataclass(frozen=True, eq=False)
class AnalysisReport:
    """Several runs side by side; differences are to the first.

    Attributes:
        view: HTML that shows frames of the first run; empty for none.
    """

    analyses: list[Analysis]
    view: str = ""

    @property
    def names(self) -> list[str]:
        """Names of all scalars, in order."""
        return list(dict.fromkeys(s.name for a in self.analyses for s in a.scalars))

    @property
    def remarks(self) -> list[str]:
        """What must be known of runs and scalars: once where it is the same of all runs."""
        told: dict[str, list[str]] = {}
        for analysis in self.analyses:
            of_scalars = [f"{s.name}: {s.remark}" for s in analysis.scalars if s.remark]
            for text in (*of_scalars, *analysis.missing):
                told.setdefault(text, []).append(analysis.label)
        every = len(self.analyses)
        return [
            text if len(labels) == every else f"{', '.join(labels)}: {text}"
            for text, labels in told.items()
        ]

    @cached_property
    def plots(self) -> dict[str, bytes]:
        """All of them by name, as PNG: first that of the energies."""
        energies = plot_energies([run for a in self.analyses for run in a.runs])
        curves = {a.label: a.curves for a in self.analyses}
        return {"energies": energies, **dict(plot_groups(curves))}

    def rows(self) -> list[list[str]]:
        """A row of text for each scalar: name, unit, one cell for each run."""
        rows = []
        for name in self.names:
            scalars = [a.scalar(name) for a in self.analyses]
            unit = next(s.unit for s in scalars if s is not None)
            cells = [_cell(s, scalars[0] if index else None) for index, s in enumerate(scalars)]
            rows.append([name, unit, *cells])
        return rows

    def curve_rows(self) -> list[list[str]]:
        """How far the curves of each further run are from those of the first."""
        first, *others = self.analyses
        rows = []
        for curve in first.curves:
            cells = []
            for analysis in others:
                other = analysis.curve(curve.group, curve.name)
                value = None if other is None else deviation(curve, other)
                cells.append("" if value is None else _mark(f"{value:.2f}", value))
            rows.append([f"{curve.group} {curve.name}", *cells])
        return rows

    def to_json(self) -> str:
        """Scalars and differences of all runs as JSON."""
        runs = []
        for analysis in self.analyses:
            figures = {}
            for s in analysis.scalars:
                first = self.analyses[0].scalar(s.name)
                figures[s.name] = {
                    "value": s.value,
                    "error": s.error,
                    "unit": s.unit,
                    "sigmas_from_first": None if first is None else difference(s, first),
                    **({"remark": s.remark} if s.remark else {}),
                }
            folders = [str(run.job.folder) for run in analysis.runs]
            runs.append({"runs": folders, "figures": figures})
        return json.dumps(runs, indent=2)


def analyze(
    groups: Sequence[Sequence[Run]], *, frames: int = 0, device: str = "cpu"
) -> AnalysisReport:
    """Take all scalars and curves.

    Args:
        groups: of runs of one kind, each taken together; at least one.
        frames: of the first run, on which to evaluate both forces and which to show.
        device: where the models run that give the forces.

    Raises:
        InputError: if frames are to be shown and chemiscope is not installed.
    """
    jobs = list(dict.fromkeys(run.job for group in groups for run in group))
    names = dict(zip(jobs, labels_of(jobs), strict=True))
    groups = [[replace(run, label=run.named(names[run.job])) for run in group] for group in groups]
    analyses = [analyze_together(group) for group in groups]
    first = analyses[0].runs[0]
    positions = first.frames("positions") if frames else None
    if positions is None:
        return AnalysisReport(analyses)
    gaps, shown = _with_forces(first, positions, frames, device)
    analyses[0].scalars.extend(gaps)
    return AnalysisReport(analyses, shown)


def _with_forces(run: Run, frames: Frames, count: int, device: str) -> tuple[list[Scalar], str]:
    """The gap on frames of the run itself, and a view of them with both forces as arrows."""
    chosen = np.unique(np.linspace(0, len(frames.times) - 1, count).astype(int))
    some = [frames.beads[0][i] for i in chosen]
    forces = both_forces(load_pair(run.system.sockets, run.job.folder, device), some)
    scalars = []
    if len(forces) == 2:
        pairs = zip(forces[Role.DIRECT], forces[Role.CONSERVATIVE], strict=True)
        gaps = [force_gap(*pair) for pair in pairs]
        for name, gap in gap_statistics([frame.numbers for frame in some], gaps).items():
            scalars.append(Scalar(f"gap, RMSE ({name})", "meV/Å", gap.rmse_meV_per_A, None))
            scalars.append(Scalar(f"gap, 99.9 % ({name})", "meV/Å", gap.p999_meV_per_A, None))
    return scalars, view(run.label, some, frames.times[chosen], forces)


def sections(report: AnalysisReport) -> list[str]:
    """Parts of a page: all tables and plots, and the view if there is one."""
    labels = [analysis.label for analysis in report.analyses]
    notes = [ERRORS]
    notes += [TOGETHER] if any(len(a.runs) > 1 for a in report.analyses) else []
    notes += [SIGMAS] if len(labels) > 1 else []
    notes += [f"{remark}." for remark in report.remarks]
    parts = [section("Figures", " ".join(notes))]
    parts.append(table(["", "unit", *labels], report.rows()))
    (name, energies), *curves = report.plots.items()
    parts += [section("Energy and temperature"), image(energies, name)]
    if len(labels) > 1 and report.curve_rows():
        note = f"RMS difference to {labels[0]} in units of its standard error: 1 for equals."
        parts += [section("Curves", note), table(["", *labels[1:]], report.curve_rows())]
    for group, png in curves:
        parts += [section(group.capitalize()), image(png, group)]
    if report.view:
        note = "Blue: conservative forces. Red: direct forces."
        parts += [section(f"Frames of {labels[0]}", note), report.view]
    return parts


def html(report: AnalysisReport) -> str:
    """One page with everything."""
    return page(" / ".join(analysis.label for analysis in report.analyses), sections(report))


def _cell(scalar: Scalar | None, reference: Scalar | None) -> str:
    if scalar is None:
        return ""
    text = with_error(scalar.value, scalar.error)
    sigmas = None if reference is None else difference(scalar, reference)
    return text if sigmas is None else _mark(f"{text} ({sigmas:+.1f})", sigmas)


def _mark(text: str, sigmas: float) -> str:
    return f"{text}!" if abs(sigmas) > MARKED_SIGMAS else text
