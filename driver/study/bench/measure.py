"""Measurements, one setup after the other; what belongs to a setup is timed turn by turn."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeGuard

from ....models.base import ForceModel
from ...run.processes import Machine
from .inputs import Base, Setup, repeated
from .model_only import evaluation, neighbor_lists
from .results import (
    BATCH,
    BOTH,
    CONSECUTIVE,
    CONSERVATIVE,
    DIRECT,
    BenchOptions,
    BenchResults,
    describe,
    reference,
)
from .roundtrip import RoundTrip
from .simulation import BACKENDS, IPI_ONLY, NULL_BACKEND, SimulationUnderTest

if TYPE_CHECKING:
    from ase import Atoms

    from ....models.backends.metatomic import MetatomicModel

__all__ = ["Timed", "interleave", "measure"]

TRIPS = 200  # requests to the driver alone in one measurement


class Timed(Protocol):
    """Something that takes time.

    Attributes:
        name: unique among those that are timed together.
    """

    name: str

    def measure(self) -> list[float]:
        """Do it once more; the times of its repetitions in ms."""
        ...


def measure(
    base: Base,
    model: ForceModel,
    options: BenchOptions,
    machine: Machine,
    log: Callable[[str], None],
    keep: Callable[[BenchResults], None],
) -> BenchResults:
    """Time everything, one setup after the other, what belongs to a setup turn by turn.

    Args:
        base: the input.
        model: loaded as the driver loads it.
        options: what to time.
        machine: what to run on.
        log: told what is being done.
        keep: given what there is whenever a part is done, so that an hour is not lost.
    """
    results = BenchResults(options, base.stride, describe(machine), {}, {})
    for setup in setups(options, len(base.structure)):
        log(f"{setup.mode}, {setup.beads} beads, {setup.atoms} atoms: starting")
        with started(base, model, setup, options, machine) as timed:
            for one in timed:
                log(f"{one.name}: warming up")
                one.measure()
            runs = [one for one in timed if isinstance(one, SimulationUnderTest)]
            memory_mb = {run.name: run.memory_mb() for run in runs}
            results.times[setup] = interleave(timed, repeats(setup, options), log)
            keep(results)
            steps = options.consecutive_steps
            if steps and setup == reference(options, len(base.structure)):
                log(f"halfkick: {steps} steps in a row")
                results.times[setup][CONSECUTIVE] = consecutive_steps(runs[0], steps)
            for run in runs:
                key = f"{run.name}, {setup.mode}, {setup.beads} beads, {setup.atoms} atoms"
                results.usage[key] = {
                    "cpu_ms_per_step": run.cpu_ms,
                    "memory_mb_before": memory_mb[run.name],
                    "memory_mb_after": run.memory_mb(),
                }
        keep(results)
    return results


def consecutive_steps(run: SimulationUnderTest, steps: int) -> list[float]:
    """Times of so many steps of one simulation and nothing else, ms."""
    times: list[float] = []
    while len(times) < steps:
        times += run.measure()
    return times


def repeats(setup: Setup, options: BenchOptions) -> int:
    """How often to measure: what takes long is measured half as often as the rest."""
    small = options.beads[0] * (options.atoms or (setup.atoms,))[0]
    return options.repeats if setup.beads * setup.atoms <= small else (options.repeats + 1) // 2


def setups(options: BenchOptions, n_atoms: int) -> list[Setup]:
    """The simulations to time."""
    atoms = options.atoms or (n_atoms,)
    all_modes = [Setup(mode, options.beads[0], atoms[0]) for mode in options.modes]
    if "mts" not in options.modes:
        return all_modes
    more = [Setup("mts", beads, atoms[0]) for beads in options.beads[1:]]
    return all_modes + more + [Setup("mts", options.beads[0], n) for n in atoms[1:]]


def interleave(
    timed: Sequence[Timed], repeats: int, log: Callable[[str], None]
) -> dict[str, list[float]]:
    """Measure all in turn, ``repeats`` times, so that what disturbs them disturbs all alike."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    for repeat in range(repeats):
        for one in timed:
            log(f"{one.name} ({repeat + 1}/{repeats})")
            times[one.name] += one.measure()
    return dict(times)


@contextmanager
def started(
    base: Base, model: ForceModel, setup: Setup, options: BenchOptions, machine: Machine
) -> Iterator[list[Timed]]:
    """Everything that is timed for one setup; its processes end with the context."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hk")))
        timed = model_only(base, model, setup)
        for number, backend in enumerate(backends(model, setup, options)):
            run_folder = folder / str(number)
            run = SimulationUnderTest(backend, base, setup, run_folder, machine, options.seconds)
            stack.callback(run.close)
            timed.append(run)
        if setup == reference(options, len(base.structure)):
            for beads, minimal in product((1, BATCH), (False, True)):
                trip_folder = folder / f"t{beads}{minimal:d}"
                atoms = atoms_of(base, setup)
                trip = RoundTrip(trip_folder, atoms, beads, TRIPS, minimal_client=minimal)
                stack.callback(trip.close)
                timed.append(trip)
        yield timed


def backends(model: ForceModel, setup: Setup, options: BenchOptions) -> Sequence[str]:
    """What a simulation is served by; i-PI's metatomic driver only serves metatomic models."""
    first = setup.atoms == (options.atoms or (setup.atoms,))[0]
    compared = BACKENDS if first and is_metatomic(model) else BACKENDS[:1]
    return [*compared, NULL_BACKEND, IPI_ONLY] if setup.mode == "mts" else compared


def model_only(base: Base, model: ForceModel, setup: Setup) -> list[Timed]:
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


def is_metatomic(model: ForceModel) -> TypeGuard[MetatomicModel]:
    """Whether i-PI's metatomic driver can serve it, too."""
    from ....models.backends.metatomic import MetatomicModel

    return isinstance(model, MetatomicModel)
