"""The report of ``halfkick check`` on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table

from .advice import Advice
from .gap import Gap
from .report import CheckReport

__all__ = ["tables"]


def tables(report: CheckReport) -> Iterator[RenderableType]:
    """Tables and lines, in the order in which they are to be read."""
    r = report
    offers = ", ".join(f"{role}{' with stress' if role in r.stress else ''}" for role in r.roles)
    cutoff = "unknown" if r.cutoff is None else f"{r.cutoff:g} Å"
    yield f"[bold]{r.model}[/]: {offers}; range {cutoff}; {r.atoms} atoms, {r.frames} frame(s)"
    yield _costs(r)
    if r.gap is not None:
        yield _gap(r.gap)
    yield _faults(r)
    if r.vibrations:
        yield _vibrations(r)
    if r.strides:
        yield _strides(r)
    if r.rings:
        yield _rings(r)
    if r.advice is not None:
        a = r.advice
        steps = f"an inner step of {a.inner_fs:g} fs and a stride M = {a.stride}"
        yield f"[bold]Take {steps}[/]: {a.reason}."
        yield f"Confirm it with halfkick tune, at constant energy{_scatter(r, a)}."


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table


def _costs(r: CheckReport) -> Table:
    table = _table("Cost of one evaluation", "force", "median ms", "middle half", "repeats")
    for kind, c in r.cost.items():
        row = (f"{c.median_ms:.2f}", f"{c.low_ms:.2f} to {c.high_ms:.2f}", str(c.repeats))
        table.add_row(kind, *row)
    return table


def _gap(gap: Gap) -> Table:
    table = _table("Gap, conservative - direct (meV/Å)", "atoms", "RMSE", "99.9th percentile")
    for name, g in gap.species.items():
        table.add_row(name, f"{g.rmse_meV_per_A:.2f}", f"{g.p999_meV_per_A:.1f}")
    torque = "" if gap.net_torque_meV is None else f", torque {gap.net_torque_meV:.2f} meV/atom"
    table.caption = f"direct head's mean force per atom {gap.net_force_meV_per_A:.3g} meV/Å{torque}"
    return table


def _faults(r: CheckReport) -> Table:
    table = _table("Faults", "measure", *r.roles)
    curls = [_pm(r.curl[role].value, r.curl[role].error) for role in r.roles]
    table.add_row("curl λ = |J - Jᵀ| / 2|J|", *curls)
    loops = [f"{r.loop[role].rms_meV:.3g}" for role in r.roles]
    table.add_row("work around a loop, meV/atom", *loops)
    jumps = [_jump(r, role) for role in r.roles]
    table.add_row("largest jump (noise), meV/Å", *jumps)
    if r.balance is not None:
        b = r.balance
        verdict = "conservative" if b.holds else "[red]not conservative[/]"
        text = f"{1e3 * b.excess:.2g} of {1e3 * b.size:.4g}, {verdict}"
        cells = [text if role == "conservative" else "" for role in r.roles]
        table.add_row("work the energy does not know of, meV/Å", *cells)
    for name, derivative in (("force, meV/Å", r.force), ("virial, meV/atom", r.virial)):
        if derivative is not None:
            verdict = "agrees" if derivative.agrees else "[red]differs[/]"
            text = f"{derivative.deviation:.2g} of {derivative.size:.4g}, {verdict}"
            cells = [text if role == "conservative" else "" for role in r.roles]
            table.add_row(f"energy differences - {name}", *cells)
    return table


def _jump(r: CheckReport, role: str) -> str:
    j = r.jump[role]
    text = f"{j.largest_meV_per_A:.2g} ({j.noise_meV_per_A:.2g})"
    return text if j.smooth else f"[red]{text}[/]"


def _vibrations(r: CheckReport) -> Table:
    table = _table("Stiffest vibrations", "atoms", "1/cm", "period, fs", "gap δk/k, %")
    for v in r.vibrations[:6]:
        gap = "" if v.gap_stiffness is None else f"{100 * v.gap_stiffness:+.2f}"
        table.add_row(v.movers, f"{v.frequency_cm:.0f}", f"{v.period_fs:.2f}", gap)
    return table


def _strides(r: CheckReport) -> Table:
    drift = "drift, meV/atom/ps"
    table = _table("Strides", "M", "outer step, fs", drift, "growth, 1/ps", "speed-up", "holds")
    for s in r.strides:
        growth = f"{s.growth_per_ps:.2f}" if s.growth_per_ps > 0.005 else "0"
        drift = "" if s.drift is None else _pm(s.drift.value, s.drift.error)
        if drift and s.stride == 1:  # no impulses, but rounding
            drift = "0"
        row = (drift, growth, f"{s.speed_up:.2f}", "yes" if s.stable else "no")
        table.add_row(str(s.stride), f"{s.outer_fs:g}", *row, style="" if s.stable else "dim")
    if r.dynamics_K is not None:
        table.caption = (
            f"drift: what impulses of the gap do at constant energy, from dynamics at "
            f"{r.dynamics_K:.0f} K; growth: of stiff bonds, linear theory"
        )
    return table


def _rings(r: CheckReport) -> Table:
    columns = "beads", "corrected on", "fastest period, fs", "longest M", "outer step, fs"
    table = _table("Strides of ring polymers", *columns)
    for ring in r.rings:
        on = "all" if ring.corrected == ring.beads else str(ring.corrected)
        row = (f"{ring.period_fs:.2f}", str(ring.stride), f"{ring.outer_fs:g}")
        table.add_row(str(ring.beads), on, *row)
    table.caption = (
        "by linear theory, of the motions that the correction acts on: no stiff amplitude grows by "
        "more than 1/ps up to there"
    )
    return table


def _scatter(r: CheckReport, advice: Advice) -> str:
    """What to expect of single runs with the recommended stride."""
    drift = next(s.drift for s in r.strides if s.stride == advice.stride)
    if drift is None or r.dynamics_K is None:
        return ""
    scatter = drift.scatter(r.atoms, r.dynamics_K, 1.0)
    return f": drifts of runs of 1 ps will scatter by {scatter:.1g} meV/atom/ps"


def _pm(value: float, error: float | None) -> str:
    return f"{value:.2g}" + ("" if error is None else f" ± {error:.1g}")
