"""Path integrals in several ways from one state: what direct forces change of quantum nuclei.

Each way has a twin on conservative forces alone, with the same beads and the same thermostat:

.. code-block:: text

    thermostat    twin               the ways that are compared with it
    PILE          pile_conservative  pile_mts    pile_mts_rpc    pile_direct (must fail)
    PIGLET        piglet_conservative  piglet_mts  piglet_mts_rpc

    mts: direct forces inside, corrected at outer steps; rpc: on contracted beads
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ....models.base import Role
from ...errors import InputError
from ...ipi.input import IpiInput
from ...ipi.motion import Bath
from ...ipi.mts_input import roles_of
from ...ipi.outputs import Output, Outputs, of_ring_polymers
from ...ipi.serving import set_correction
from ...ipi.sockets import own_prefix
from ...run.folder import RunFolder
from ...run.runner import Runner, finished, state_after
from ..analysis.report import AnalysisReport, analyze
from ..analysis.run_data import open_run
from .subject import Subject

__all__ = ["CONVERGED", "WAYS", "QuantumOptions", "Way", "results", "simulate", "ways_of"]

PILE_FS, PILE = 100.0, "pile_l"
PIGLET = "water_piglet_mts"  # the scenario whose thermostat is taken
FRAMES_FS = 40.0  # between frames of all beads
BATCH_LATENCY_S = 1e-3  # below it i-PI sends batches that are half filled
STATE_FS = 200.0  # between states to go on from
SKIP = 0.1  # of a run: the thermostat takes its time
CONVERGED = "pile_converged"


@dataclass(frozen=True)
class Way:
    """How forces and thermostat are chosen.

    Attributes:
        thermostat: ``pile`` or ``piglet``.
        forces: ``conservative``, ``direct`` or ``mts``.
        contracted: whether the correction is.
    """

    thermostat: str
    forces: str
    contracted: bool = False

    @property
    def name(self) -> str:
        """As its folder is called."""
        return f"{self.thermostat}_{self.forces}" + "_rpc" * self.contracted


WAYS = {
    way.name: way
    for way in (
        Way("pile", "conservative"),
        Way("pile", "mts"),
        Way("pile", "mts", True),
        Way("pile", "direct"),
        Way("piglet", "conservative"),
        Way("piglet", "mts"),
        Way("piglet", "mts", True),
    )
}


@dataclass(frozen=True)
class QuantumOptions:
    """What to run.

    Attributes:
        length_ps: of each run.
        equilibrate_ps: with corrected forces under PILE, before all of them.
        contraction: beads that the correction is contracted to.
        converged: beads of one more conservative run under PILE, which PIGLET is to come near; 0
            for none.
        ways: names of ``WAYS``, or the one of the converged run; empty for all.
        model, molecules: of water.
        input: of another system, with its models, beads and stride; ``None`` for water.
    """

    length_ps: float = 5.0
    equilibrate_ps: float = 1.0
    contraction: int = 2
    converged: int = 0
    ways: Sequence[str] = ()
    model: str = "water"
    molecules: int = 32
    input: Path | None = None

    def __post_init__(self) -> None:
        known = [*WAYS, *[CONVERGED] * bool(self.converged)]
        unknown = [name for name in self.ways if name not in known]
        if unknown:
            raise InputError(f"expected --way {', '.join(known)}, got '{unknown[0]}'")


def ways_of(plan: QuantumOptions, subject: Subject) -> dict[str, IpiInput]:
    """The input of each way, in order, without start and outputs.

    Without those under PIGLET where its matrices are for other beads or another temperature.

    Raises:
        InputError: if the contraction has no fewer beads than there are.
    """
    source = subject.source.source.with_absolute_paths()
    beads = source.systems[0].beads
    if not 0 < plan.contraction < beads:
        raise InputError(
            f"expected --contraction to fewer than {beads} beads, got {plan.contraction}; change "
            f"it, or nbeads of the input"
        )
    pile = source.replace(ensemble="nvt", thermostat=Bath(PILE, PILE_FS))
    baths = {"pile": _batched(pile)}
    coloured = _coloured(source)
    if coloured is not None:
        baths["piglet"] = baths["pile"].with_thermostat_of(coloured)
    made = {
        name: _with_forces(baths[way.thermostat], way, plan.contraction, subject)
        for name, way in WAYS.items()
        if way.thermostat in baths
    }
    if plan.converged:
        more = _batched(baths["pile"].replace(beads=plan.converged))
        made[CONVERGED] = _with_forces(more, WAYS["pile_conservative"], 0, subject)
    return made


def simulate(
    plan: QuantumOptions,
    subject: Subject,
    folder: Path,
    run: Runner,
    log: Callable[[str], None],
) -> None:
    """Run all ways that are asked for from one state; what has been run is not run again.

    Raises:
        RunError: if the equilibration fails.
    """
    made = ways_of(plan, subject)
    log("equilibration")
    start = _write(made["pile_mts"], plan.equilibrate_ps, folder / "start", subject, None)
    state = state_after(start, run)
    for name in plan.ways or made:
        if name not in made:
            log(f"{name}: left out, as PIGLET's matrices are for 8 beads at 300 K")
            continue
        log(name)
        run(_write(made[name], plan.length_ps, folder / name, subject, state))


def results(plan: QuantumOptions, folder: Path) -> dict[str, AnalysisReport]:
    """Analyse the runs of each thermostat that have finished, the conservative one first.

    Direct forces alone count however they end.

    Returns:
        Thermostat -> report, whose runs are called as the ways; nothing without its twin.
    """
    found = {}
    for bath in ("pile", "piglet"):
        names = [name for name, way in WAYS.items() if way.thermostat == bath]
        names += [CONVERGED] if bath == "pile" else []
        places = [folder / name for name in names]
        done = [p for p in places if finished(p / "input.xml") or _heated(p)]
        if done and done[0] == places[0]:
            found[bath] = analyze([[open_run(p, skip_ps=SKIP * plan.length_ps)] for p in done])
    return found


def _heated(place: Path) -> bool:
    return place.name == "pile_direct" and RunFolder(place).summary.is_file()


def _coloured(source: IpiInput) -> IpiInput | None:
    """Whose thermostat has coloured noise for these beads at this temperature: its own, PIGLET's.

    ``None`` if nothing fits.
    """
    if source.systems[0].quantum_thermostat is not None:
        return source
    text = (files("halfkick.ipi_inputs") / PIGLET / "input.xml").read_text()
    shipped = IpiInput.parse(text)
    same = shipped.systems[0].beads == source.systems[0].beads
    same = same and shipped.ensemble.temperature_K == source.ensemble.temperature_K
    return shipped if same else None


def _with_forces(made: IpiInput, way: Way, contraction: int, subject: Subject) -> IpiInput:
    """An input with these forces and their steps."""
    sockets = roles_of(made)
    fields = {role: socket.forcefield for role, socket in sockets.items()}
    stride, inner_fs = subject.source.stride, subject.source.inner_fs
    if way.forces == "mts":
        on = contraction if way.contracted else None
        names = fields[Role.DIRECT], fields[Role.CONSERVATIVE]
        made = made.changed_by(set_correction, *names, on)
        if on is not None:
            made = made.replace_socket(sockets[Role.CONSERVATIVE].name, batch_size=on)
        return made.replace(timestep_fs=stride * inner_fs, nmts=(1, stride))
    if way.forces == Role.DIRECT:
        socket = sockets[Role.DIRECT]
        parameters = (socket.parameters or {}) | {"energy": "model"}
        made = made.replace_socket(socket.name, parameters=parameters)
    made = made.with_one_force_field(fields[Role(way.forces)])
    return made.replace(timestep_fs=inner_fs, nmts=())


def _batched(made: IpiInput) -> IpiInput:
    """All beads in one message."""
    beads = made.systems[0].beads
    for socket in made.sockets:
        made = made.replace_socket(socket.name, batch_size=beads, latency_s=BATCH_LATENCY_S)
    return made


def _write(made: IpiInput, ps: float, folder: Path, subject: Subject, start: Path | None) -> Path:
    """Write the input of one run into its folder."""
    step_fs = made.timestep_fs or subject.source.inner_fs
    outer_fs = subject.source.stride * subject.source.inner_fs

    def every(fs: float) -> int:
        return max(1, round(fs / step_fs))

    columns = (
        "step, time{picosecond}, conserved{electronvolt}, temperature{kelvin}, "
        f"temperature(nm=0){{kelvin}}, potential{{electronvolt}}, "
        f"{of_ring_polymers(subject.species)}"
    )
    items = [
        Output("properties", "properties", every(outer_fs), f"[ {columns} ]"),
        Output("trajectory", "positions", every(FRAMES_FS), "positions", {"format": "ase"}),
        Output("checkpoint", "checkpoint", every(STATE_FS)),
        Output("checkpoint", "checkpoint2", every(1.3 * STATE_FS)),
    ]
    made = made.replace(
        attributes={
            "floatformat": "%24.16e",
            "safe_stride": str(every(STATE_FS)),
            "sockets_prefix": own_prefix(folder),
        },
        total_steps=max(1, round(1e3 * ps / step_fs)),
        seed=17,
        outputs=Outputs("out", items),
        checkpoint=start,
    )
    folder.mkdir(parents=True, exist_ok=True)
    return made.write(folder / "input.xml")
