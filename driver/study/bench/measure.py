"""Times everything, one setup after the other, what belongs to a setup turn by turn."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from ....models.base import ForceModel
from .inputs import Base, Setup, repeated
from .model_only import evaluation, neighbor_lists
from .results import (
    BATCH,
    BOTH,
    CONSERVATIVE,
    DIRECT,
    IN_A_ROW,
    Measured,
    Options,
    describe,
    reference,
)
from .roundtrip import RoundTrip
from .simulation import WAYS, Contender, Machine
from .timing import Timed, interleave

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["measure"]

TRIPS = 200  # requests to the driver alone in one measurement


def measure(
    base: Base,
    model: ForceModel,
    options: Options,
    machine: Machine,
    say: Callable[[str], None],
    keep: Callable[[Measured], None],
) -> Measured:
    """Time everything, one setup after the other, what belongs to a setup turn by turn.

    Args:
        base: the input.
        model: loaded as the driver loads it.
        options: what to time.
        machine: what to run on.
        say: told what is being done.
        keep: given what there is whenever a part is done, so that an hour is not lost.
    """
    measured = Measured(options, base.stride, describe(machine), {}, {})
    for setup in setups(options, len(base.structure)):
        say(f"{setup.mode}, {setup.beads} beads, {setup.atoms} atoms: starting")
        with started(base, model, setup, options, machine) as timed:
            for one in timed:
                say(f"{one.name}: warming up")
                one.measure()
            runs = [one for one in timed if isinstance(one, Contender)]
            memory_mb = {run.name: run.memory_mb() for run in runs}
            measured.times[setup] = interleave(timed, repeats(setup, options), say)
            keep(measured)
            if options.in_a_row and setup == reference(options, len(base.structure)):
                say(f"halfkick: {options.in_a_row} steps in a row")
                measured.times[setup][IN_A_ROW] = in_a_row(runs[0], options.in_a_row)
            for run in runs:
                key = f"{run.name}, {setup.mode}, {setup.beads} beads, {setup.atoms} atoms"
                measured.usage[key] = {
                    "cpu_ms_per_step": run.cpu_ms,
                    "memory_mb_before": memory_mb[run.name],
                    "memory_mb_after": run.memory_mb(),
                }
        keep(measured)
    return measured


def in_a_row(run: Contender, steps: int) -> list[float]:
    """Times of so many steps of one simulation and nothing else, ms."""
    times: list[float] = []
    while len(times) < steps:
        times += run.measure()
    return times


def repeats(setup: Setup, options: Options) -> int:
    """How often to measure: what takes long is measured half as often as the rest."""
    small = options.beads[0] * (options.atoms or (setup.atoms,))[0]
    return options.repeats if setup.beads * setup.atoms <= small else (options.repeats + 1) // 2


def setups(options: Options, n_atoms: int) -> list[Setup]:
    """The simulations to time."""
    atoms = options.atoms or (n_atoms,)
    all_modes = [Setup(mode, options.beads[0], atoms[0]) for mode in options.modes]
    if "mts" not in options.modes:
        return all_modes
    more = [Setup("mts", beads, atoms[0]) for beads in options.beads[1:]]
    return all_modes + more + [Setup("mts", options.beads[0], n) for n in atoms[1:]]


@contextmanager
def started(
    base: Base, model: ForceModel, setup: Setup, options: Options, machine: Machine
) -> Iterator[list[Timed]]:
    """Everything that is timed for one setup; its processes end with the context."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hk")))
        timed = alone(base, model, setup)
        for number, way in enumerate(ways(model, setup, options)):
            place = folder / str(number)
            run = Contender(way, base, setup, way, place, machine, options.seconds)
            stack.callback(run.close)
            timed.append(run)
        if setup == reference(options, len(base.structure)):
            for beads, bare in product((1, BATCH), (False, True)):
                place = folder / f"t{beads}{bare:d}"
                trip = RoundTrip(place, atoms_of(base, setup), beads, TRIPS, bare=bare)
                stack.callback(trip.close)
                timed.append(trip)
        yield timed


def ways(model: ForceModel, setup: Setup, options: Options) -> Sequence[str]:
    """What a simulation is served by; i-PI's metatomic driver only serves metatomic models."""
    first = setup.atoms == (options.atoms or (setup.atoms,))[0]
    compared = WAYS if first and is_metatomic(model) else WAYS[:1]
    return [*compared, "costless", "i-PI"] if setup.mode == "mts" else compared


def alone(base: Base, model: ForceModel, setup: Setup) -> list[Timed]:
    """The model without driver, for each chunk size up to the number of beads."""
    atoms = atoms_of(base, setup)
    sizes = [size for size in (1, 2, 4, 8, 16, 32) if size <= setup.beads]
    roles = {"direct": [DIRECT], "conservative": [CONSERVATIVE]}.get(
        setup.mode, [DIRECT, CONSERVATIVE, BOTH]
    )
    times = max(1, 2 * len(base.structure) // setup.atoms)
    timed: list[Timed] = [
        evaluation(model, atoms, size, role, times) for size, role in product(sizes, roles)
    ]
    return [*timed, neighbor_lists(model, atoms, 5 * times)] if is_metatomic(model) else timed


def atoms_of(base: Base, setup: Setup) -> Atoms:
    """The structure of a simulation."""
    return repeated(base.structure, setup.atoms)


def is_metatomic(model: ForceModel) -> bool:
    """Whether i-PI's metatomic driver can serve it, too."""
    from ....models.backends.metatomic import MetatomicModel

    return isinstance(model, MetatomicModel)
