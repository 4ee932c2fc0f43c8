"""Everything ``halfkick check`` finds out about a model at some structures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..balance import Balance, balance
from ..base import ForceModel, Role, Structure
from . import curl as curls
from . import derivatives, modes
from .advice import STRIDES, Advice, StrideRow, advise, inner_step
from .cost import Cost, cost
from .gap import Gap, gap
from .heating import Heating, evenly_spaced, predict_drifts
from .probe import Probe
from .rings import RingStride, ring_strides

__all__ = ["CheckReport", "check"]

BLOCK_FRAMES = 3  # frames whose stiff modes are looked at

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class CheckReport:
    """What was found; ``None`` or empty where the model or the structure does not allow it."""

    model: str
    roles: list[str]
    stress: list[str]
    cutoff: float | None
    frames: int
    atoms: int
    cost: dict[str, Cost]
    curl: dict[str, curls.Curl]
    loop: dict[str, curls.LoopWork]
    jump: dict[str, derivatives.Jump]
    balance: Balance | None
    force: derivatives.Derivative | None
    virial: derivatives.Derivative | None
    vibrations: list[modes.Vibration]
    gap: Gap | None
    dynamics_K: float | None
    strides: list[StrideRow]
    advice: Advice | None
    rings: Sequence[RingStride] = ()

    def to_json(self) -> str:
        """All of it as JSON."""
        return json.dumps(asdict(self), indent=2)


def check(
    model: ForceModel,
    structures: Sequence[Structure],
    *,
    masses: Sequence[NDArray[np.float64]] | None = None,
    probes: int = 12,
    seconds: float = 4.0,
    dynamics: int = 600,
    temperature_K: float = 300.0,
    beads: Sequence[int] = (),
    contraction: int | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> CheckReport:
    """Measure all that the model allows.

    Args:
        model: any source of forces.
        structures: frames alike; derivatives are taken at the first, stiff modes at up to three,
            the gap at all.
        masses: of the atoms of each, amu, shape (N,); without, those of their elements.
        probes: random directions for the curl.
        seconds: for timing.
        dynamics: steps under the conservative force, which tell the drift of each stride; from the
            first frame, or if that is small, from several; 0 for none.
        temperature_K: of the velocities these begin with, and of ring polymers.
        beads: of ring polymers whose strides are foreseen, too.
        contraction: to so many beads, of their corrections.
        log: receives what is being measured.

    Raises:
        ModelError: if the model does not know a species.
    """
    of_atoms = [None] * len(structures) if masses is None else masses
    frames = [Probe(model, *pair) for pair in zip(structures, of_atoms, strict=True)]
    first = frames[0]
    conservative, both = Role.CONSERVATIVE in model.capabilities.roles, len(first.roles) == 2
    log("cost of each force")
    costs = cost(first, seconds=seconds)
    log("curl")
    curl, loop = curls.curl(first, probes), curls.loop_work(first)
    log("smoothness")
    jump = derivatives.jumps(first)
    agreement = force = virial = None
    if conservative:
        log("energy differences")
        agreement = balance(model, first.structure)
        force = derivatives.force_error(first)
        if first.structure.pbc.all() and Role.CONSERVATIVE in model.capabilities.stress:
            virial = derivatives.virial_error(first)
    vibrations: list[modes.Vibration] = []
    blocks: list[modes.Block] = []
    if conservative:
        for number in evenly_spaced(frames, BLOCK_FRAMES):
            log(f"stiff vibrations of frame {number}")
            stiffest, atom = modes.stiffest(frames[number])
            vibrations += stiffest
            if both:
                blocks.append(modes.stiff_block(frames[number], atom))
    drifts: dict[int, Heating] = {}
    strides: list[StrideRow] = []
    rings: list[RingStride] = []
    advice, temperature = None, None
    if both and dynamics:
        drifts, temperature = predict_drifts(
            frames, inner_step(vibrations), STRIDES, steps=dynamics, temperature_K=temperature_K,
            log=log,
        )  # fmt: skip
    if both:
        advice, strides = advise(vibrations, blocks, costs, drifts)
        fastest = min(v.period_fs for v in vibrations)
        of_rings = beads, contraction, temperature_K
        rings = ring_strides(blocks, fastest, advice.inner_fs, *of_rings)
    return CheckReport(
        model=model.name,
        roles=sorted(map(str, first.roles)),
        stress=sorted(map(str, model.capabilities.stress)),
        cutoff=model.capabilities.cutoff,
        frames=len(frames),
        atoms=first.shape[0],
        cost=costs,
        curl=_by_name(curl),
        loop=_by_name(loop),
        jump=_by_name(jump),
        balance=agreement,
        force=force,
        virial=virial,
        vibrations=sorted(vibrations, key=lambda v: v.period_fs),
        gap=gap(frames) if both else None,
        dynamics_K=temperature,
        strides=strides,
        advice=advice,
        rings=rings,
    )


def _by_name(values: dict[Role, Measured]) -> dict[str, Measured]:
    return {str(role): values[role] for role in sorted(values)}
