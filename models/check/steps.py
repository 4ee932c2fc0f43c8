"""An inner step and a stride for a run that begins at a structure: the advice of a short check."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..base import ForceModel, Structure
from .advice import INNER_STEPS, STRIDES, Advice, advise, inner_step
from .cost import cost
from .heating import predict_drifts
from .modes import Vibration, stiff_block, stiffest
from .probe import Probe

__all__ = ["advise_inner_step", "advise_steps"]

COST_SECONDS = 1.0
DYNAMICS = 400  # steps: the fewest that tell the drift of every stride
EVALUATIONS = 700  # of dynamics, vibrations and derivatives around a bond


def advise_inner_step(
    model: ForceModel, structure: Structure, masses_amu: NDArray[np.float64] | None = None
) -> tuple[float, str]:
    """The longest usual step (fs) for a structure, and the reason; conservative forces alone.

    Args:
        model: with conservative forces.
        structure: where the run begins.
        masses_amu: shape (N,); ``None`` for those of the elements.
    """
    vibrations, _ = stiffest(Probe(model, structure, masses_amu))
    return inner_step(vibrations), _period(vibrations)


def advise_steps(
    model: ForceModel,
    structure: Structure,
    *,
    masses_amu: NDArray[np.float64] | None = None,
    inner_fs: float | None = None,
    temperature_K: float = 300.0,
    log: Callable[[str], None] = lambda _: None,
) -> Advice:
    """What ``halfkick check`` would advise, from one frame and a shorter trajectory.

    Args:
        model: with both forces.
        structure: where the run begins.
        masses_amu: shape (N,); ``None`` for those of the elements.
        inner_fs: an inner step that is chosen already.
        temperature_K: of the trajectory.
        log: receives what is done, and how long it will take.
    """
    probe = Probe(model, structure, masses_amu)
    start = time.perf_counter()
    costs = cost(probe, seconds=COST_SECONDS, at_least=1)
    seconds = EVALUATIONS * 1e-3 * costs["both"].median_ms + time.perf_counter() - start
    log(f"a short trajectory, about {seconds:.0f} s")
    vibrations, atom = stiffest(probe)
    blocks = [stiff_block(probe, atom)]
    inner = inner_fs or inner_step(vibrations)
    drifts, _ = predict_drifts([probe], inner, STRIDES, steps=DYNAMICS, temperature_K=temperature_K)
    return advise(vibrations, blocks, costs, drifts, inner)[0]


def _period(vibrations: list[Vibration]) -> str:
    period = min(v.period_fs for v in vibrations)
    if not np.isfinite(period):
        return f"nothing vibrates, so the longest of {INNER_STEPS[0]:g} fs"
    return f"the fastest vibration has a period of {period:.1f} fs"
