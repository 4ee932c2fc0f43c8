"""The inner step and the stride of a new input: as asked, or as a short check advises."""

from __future__ import annotations

from collections.abc import Callable

from ...models.check.advice import INNER_STEPS, STEPS_PER_PERIOD, Advice
from ...models.check.steps import advise_inner_step, advise_steps
from ...models.dynamics.ring_polymer import ring_period_fs
from ...models.frames import structure_of
from .forces import Forces
from .options import InitOptions
from .start import Start

__all__ = ["choose_steps", "within_rings"]

RING_SHARE = 0.4  # of the period of a ring polymer's fastest motion, in an outer step


def choose_steps(
    forces: Forces, start: Start, options: InitOptions, say: Callable[[str], None]
) -> tuple[Forces, Advice]:
    """The steps that are asked for, or else advised; one force where two gain nothing."""
    structure, inner, stride = structure_of(start.atoms), options.timestep_fs, options.stride
    if not forces.is_mts:
        stride = 1
    if inner is not None and stride is not None:
        return forces, Advice(inner, stride, "as asked")
    if stride is not None:
        step, reason = advise_inner_step(forces.model, structure, start.masses_amu)
        return forces, within_rings(Advice(step, stride, reason), options)
    advice = advise_steps(
        forces.model, structure, masses_amu=start.masses_amu, inner_fs=inner,
        temperature_K=options.temperature_K, log=lambda text: say(f"check: {text}"),
    )  # fmt: skip
    if advice.stride == 1:
        return forces.alone(advice.reason, "to have both forces all the same: --stride M"), advice
    return forces, within_rings(advice, options)


def within_rings(advice: Advice, options: InitOptions) -> Advice:
    """Shorter steps, where ring polymers move faster than what they were chosen for."""
    if options.beads == 1:
        return advice
    vibration = STEPS_PER_PERIOD * advice.inner_fs
    longest = RING_SHARE * ring_period_fs(vibration, options.beads, options.temperature_K)
    outer = options.stride or 1
    steps = [h for h in INNER_STEPS if h <= advice.inner_fs and outer * h <= longest]
    inner = advice.inner_fs if options.timestep_fs or not steps else steps[0]
    stride = min(advice.stride, max(1, int(longest / inner)))
    if options.stride is not None:
        stride = options.stride
    if (inner, stride) == (advice.inner_fs, advice.stride):
        return advice
    return Advice(inner, stride, f"{advice.reason}; springs between {options.beads} beads")
