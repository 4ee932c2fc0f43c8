"""The recommended inner step and stride, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .cost import Cost, speed_up
from .heating import Heating
from .modes import Block, Vibration, stiff, stride_growth
from .stability import strides_within

__all__ = [
    "INNER_STEPS",
    "STEPS_PER_PERIOD",
    "STRIDES",
    "Advice",
    "StrideRow",
    "advise",
    "inner_step",
]

INNER_STEPS = (4.0, 2.0, 1.0, 0.5, 0.25, 0.125)  # fs
STEPS_PER_PERIOD = 12  # of the fastest vibration, at least
STRIDES = tuple(range(1, 17))
GROWTH_LIMIT = 1.0  # 1/ps: slower growth is lost in the mixing of modes
DRIFT_LIMIT = 0.5  # meV/atom/ps
LARGE_GAP_STIFFNESS = 0.05  # relative: beyond it strides drift that linear theory lets pass
WORTHWHILE_SPEED_UP = 1.05  # of a longer stride over a shorter one


@dataclass(frozen=True)
class StrideRow:
    """What to expect of one stride.

    Attributes:
        outer_fs: the outer step.
        growth_per_ps: of the worst stiff amplitude in the linearized system.
        drift: at constant energy; ``None`` where no trajectory tells it.
        speed_up: over conservative forces at every inner step, i-PI's own time left out.
        stable: whether this stride and all shorter ones hold.
    """

    stride: int
    outer_fs: float
    growth_per_ps: float
    drift: Heating | None
    speed_up: float
    stable: bool


@dataclass(frozen=True)
class Advice:
    """The inner step (fs), the stride, and the reasons."""

    inner_fs: float
    stride: int
    reason: str


def inner_step(vibrations: Sequence[Vibration]) -> float:
    """The longest usual step (fs) that resolves the fastest vibration."""
    longest = min(v.period_fs for v in vibrations) / STEPS_PER_PERIOD
    return next((h for h in INNER_STEPS if h <= longest), INNER_STEPS[-1])


def advise(
    vibrations: Sequence[Vibration],
    blocks: Sequence[Block],
    costs: Mapping[str, Cost],
    drifts: Mapping[int, Heating] | None = None,
    inner_fs: float | None = None,
) -> tuple[Advice, list[StrideRow]]:
    """Recommend an inner step and a stride for a model with both forces.

    Where drifts are predicted (by stride), they decide. Where not, linear theory does, which takes
    the worst bond of a moment for all time. ``inner_fs`` is an inner step that is chosen already.
    """
    inner, drifts = inner_fs or inner_step(vibrations), drifts or {}
    rates = stride_growth(blocks, inner, STRIDES)
    excess = [
        drifts[m].value / DRIFT_LIMIT if m in drifts else rate / GROWTH_LIMIT
        for m, rate in zip(STRIDES, rates, strict=True)
    ]
    bound = max(1, strides_within(excess, 1.0))
    rows = [
        StrideRow(m, m * inner, rate, drifts.get(m), speed_up(costs, m), m <= bound)
        for m, rate in zip(STRIDES, rates, strict=True)
    ]
    stride = 1
    for row in rows[:bound]:
        if row.speed_up > WORTHWHILE_SPEED_UP * rows[stride - 1].speed_up:
            stride = row.stride
    if rows[stride - 1].speed_up <= 1.0:
        worth = "no stride is faster than conservative forces at every inner step"
        return Advice(inner, 1, f"{worth}: do without direct forces"), rows
    fastest = min(vibrations, key=lambda v: v.period_fs)
    of = f" ({fastest.movers})" if fastest.movers else ""
    period = f"the fastest vibration{of} has a period of {fastest.period_fs:.1f} fs"
    reasons = [period, *_limits(rows, bound)]
    worst = max(stiff(vibrations), key=lambda v: abs(v.gap_stiffness or 0.0))
    gap_stiffness = abs(worst.gap_stiffness or 0.0)
    if gap_stiffness > LARGE_GAP_STIFFNESS:
        bond = worst.movers or "a stiff bond"
        share = f"{100 * gap_stiffness:.0f} % of the stiffness of {bond}"
        reasons.append(f"the gap has {share}: expect drift at shorter strides too")
    if stride < bound:
        gain = f"{100 * (WORTHWHILE_SPEED_UP - 1):.0f} %"
        reasons.append(f"strides beyond {stride} gain less than {gain}")
    return Advice(inner, stride, "; ".join(reasons)), rows


def _limits(rows: Sequence[StrideRow], bound: int) -> list[str]:
    """Why strides beyond ``bound`` are too long."""
    if bound == len(rows):
        return []
    beyond = rows[bound]
    impulses = f"impulses {beyond.outer_fs:g} fs apart"
    if beyond.drift is not None:
        return [f"{impulses} heat by {beyond.drift.value:.2g} meV/atom/ps"]
    return [f"{impulses} pump stiff bonds by {beyond.growth_per_ps:.1f}/ps"]
