"""Everything ``halfkick check`` finds out about a model at some structures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from ..base import ForceModel, Role, Structure
from ..errors import DataError
from . import curl as curls
from . import derivatives, modes
from .advice import STRIDES, Advice, StrideRow, advise, inner_step
from .cost import Cost, cost
from .gap import Gap, gap
from .heating import foresee, spread
from .probe import Probe

__all__ = ["Report", "check", "read_structures"]

BLOCK_FRAMES = 3  # frames whose stiff modes are looked at


@dataclass(frozen=True)
class Report:
    """What was found; ``None`` or empty where the model or the structure does not allow it."""

    model: str
    roles: list[str]
    stress: list[str]
    cutoff: float | None
    frames: int
    atoms: int
    cost: dict[str, Cost]
    curl: dict[str, curls.Curl]
    loop: dict[str, curls.Loop]
    jump: dict[str, derivatives.Jump]
    force: derivatives.Derivative | None
    virial: derivatives.Derivative | None
    vibrations: list[modes.Vibration]
    gap: Gap | None
    dynamics_K: float | None  # noqa: N815 (the unit's own letter)
    strides: list[StrideRow]
    advice: Advice | None

    def to_json(self) -> str:
        """All of it as JSON."""
        return json.dumps(asdict(self), indent=2)


def read_structures(path: str) -> list[Structure]:
    """Read what ASE reads: ``FILE`` (its last frame) or ``FILE@INDEX``, ``FILE@:`` for all.

    Raises:
        DataError: if it cannot be read.
    """
    from ase.io import read

    index = None if "@" in path else -1
    try:
        frames = read(path, index=index)
    except Exception as error:  # ASE's readers raise anything
        why = str(error) or type(error).__name__
        raise DataError(f"expected a structure that ASE reads, got '{path}': {why}") from error
    frames = frames if isinstance(frames, list) else [frames]
    if not frames:
        raise DataError(f"expected at least one frame in '{path}', got none; choose others")
    return [Structure(f.numbers, f.positions, f.cell.array, f.pbc) for f in frames]


def check(
    model: ForceModel,
    structures: Sequence[Structure],
    *,
    probes: int = 12,
    seconds: float = 4.0,
    dynamics: int = 600,
    temperature_K: float = 300.0,  # noqa: N803
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Measure all that the model allows.

    Args:
        model: any source of forces.
        structures: frames alike; derivatives are taken at the first, stiff modes at up to three,
            the gap at all.
        probes: random directions for the curl.
        seconds: for timing.
        dynamics: steps under the conservative force, which tell the drift of each stride; from the
            first frame, or if that is small, from several; 0 for none.
        temperature_K: of the velocities these begin with.
        say: told what is being measured.

    Raises:
        ModelError: if the model does not know a species.
    """
    frames = [Probe(model, structure) for structure in structures]
    first = frames[0]
    conservative, both = Role.CONSERVATIVE in model.capabilities.roles, len(first.roles) == 2
    say("cost of each force")
    costs = cost(first, seconds=seconds)
    say("curl")
    curl, loop = curls.curl(first, probes), curls.loop_work(first)
    say("smoothness")
    jump = derivatives.jumps(first)
    force = virial = None
    if conservative:
        say("energy differences")
        force = derivatives.force_error(first)
        if first.structure.pbc.all() and Role.CONSERVATIVE in model.capabilities.stress:
            virial = derivatives.virial_error(first)
    vibrations, blocks = [], []
    if conservative:
        for number in spread(frames, BLOCK_FRAMES):
            say(f"stiff vibrations of frame {number}")
            found, atom = modes.stiffest(frames[number])
            vibrations += found
            if both:
                blocks.append(modes.stiff_block(frames[number], atom))
    advice, strides, kelvin, drifts = None, [], None, {}
    if both and dynamics:
        drifts, kelvin = foresee(
            frames, inner_step(vibrations), STRIDES, steps=dynamics, temperature_K=temperature_K,
            say=say,
        )  # fmt: skip
    if both:
        advice, strides = advise(vibrations, blocks, costs, drifts)
    return Report(
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
        force=force,
        virial=virial,
        vibrations=sorted(vibrations, key=lambda v: v.period_fs),
        gap=gap(frames) if both else None,
        dynamics_K=kelvin,
        strides=strides,
        advice=advice,
    )


def _by_name(values: dict[Role, object]) -> dict[str, object]:
    return {str(role): values[role] for role in sorted(values)}
