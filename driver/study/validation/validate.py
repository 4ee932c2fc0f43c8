"""The dark side and its cure: a model's direct, conservative and corrected forces, side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ....models.base import Role
from ....models.pair import Pair
from ...errors import InputError
from ...ipi.mts_input import FORCES, RunSettings
from ...run.runner import Runner
from ..analysis.forces import both_forces
from ..analysis.html import page, section, table
from ..analysis.report import AnalysisReport, analyze, sections
from ..analysis.run_data import open_run
from ..tuning.tune import equilibrate
from .boxes import clusters, water_box
from .equipartition import species_temperatures
from .optimise import Optimised, optimise, rates
from .subject import Subject, own_system, water
from .verdicts import NEAR, Verdict, answer

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "ValidationOptions",
    "geometries",
    "html",
    "results",
    "simulate",
    "subject_of",
    "targets",
    "to_json",
]

TAU_FS = {"nve": 0.0, "svr": 10.0, "langevin": 100.0}
DIRECT_PS = 0.5  # at constant energy: longer, direct forces leave what the model knows
CLUSTER_SIZES = (2, 3, 4, 5, 6, 8)
SKIP = 0.1  # of a run with a thermostat
FEW = 20  # frames that tell how stiff the atoms are held
FRAMES_FS = {"nve": 4.0, "svr": 40.0, "langevin": 40.0}  # between frames; vibrations need few


@dataclass(frozen=True)
class ValidationOptions:
    """What to run.

    Attributes:
        model: as in ``<parameters> model``; of water.
        molecules: of water in the box.
        length_ps: of each run; direct forces at constant energy are run for half a ps at most.
        equilibrate_ps: with corrected forces, before all of them.
        optimise_steps: most steps of an optimisation; 0 leaves optimisations out.
        ensembles: of ``nve``, ``svr`` and ``langevin``.
        input: of another system than water, with its models; ``None`` for water.
    """

    model: str = "water"
    molecules: int = 32
    length_ps: float = 5.0
    equilibrate_ps: float = 1.0
    optimise_steps: int = 200
    ensembles: Sequence[str] = tuple(TAU_FS)
    input: Path | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.ensembles if name not in TAU_FS]
        if unknown:
            raise InputError(f"expected --ensemble {', '.join(TAU_FS)}, got '{unknown[0]}'")


def subject_of(plan: ValidationOptions, folder: Path) -> Subject:
    """What the plan is about; of water the input is written to a folder.

    Raises:
        InputError: if there is no such box, or the input is another kind of calculation.
    """
    if plan.input is not None:
        return own_system(plan.input)
    return water(plan.model, plan.molecules, folder)


def simulate(
    plan: ValidationOptions, subject: Subject, folder: Path, run: Runner, log: Callable[[str], None]
) -> dict[str, Path]:
    """Run three forces in three ensembles from one state; what has been run is not run again.

    Returns:
        ``ensemble_forces`` -> folder.

    Raises:
        RunError: if the equilibration fails.
    """
    source = subject.source
    step, stride = source.inner_fs, source.stride
    log("equilibration")
    first = RunSettings("mts", step, plan.equilibrate_ps, stride=stride, ensemble="langevin")
    start = equilibrate(source, first, folder / "start", run)
    places = {}
    for ensemble in plan.ensembles:
        for forces in FORCES:
            name = f"{ensemble}_{forces}"
            log(name)
            m = stride if forces == "mts" else 1
            alone = ensemble == "nve" and forces == "direct"
            settings = RunSettings(
                forces, step, min(plan.length_ps, DIRECT_PS) if alone else plan.length_ps,
                stride=m, ensemble=ensemble, tau_fs=TAU_FS[ensemble], seed=17,
                every=max(1, round(FRAMES_FS[ensemble] / (m * step))),
            )  # fmt: skip
            run(source.write(settings, folder / name, start=start, species=subject.species))
            places[name] = folder / name
    return places


def geometries(
    plan: ValidationOptions,
    subject: Subject,
    places: dict[str, Path],
    folder: Path,
    pair: Pair,
    run: Runner,
    log: Callable[[str], None],
) -> list[Optimised]:
    """Optimise by each recipe: clusters and a box of water, or an own system as it is at first.

    An own system starts from where the runs do, amid its thermal motion.
    """
    if subject.is_water:
        structures = _shaken_water()
    else:
        structures = {"start": open_run(next(iter(places.values()))).positions()[0]}
    found = []
    for name, atoms in structures.items():
        log(f"optimisation of {name}")
        found += optimise(
            {name: atoms}, subject.models, pair, folder / "optimise", run, plan.optimise_steps
        )
    return found


def _shaken_water() -> dict[str, Atoms]:
    """Perturbed clusters and a perturbed box."""
    box = water_box(32)
    shaken = box.copy()
    rng = np.random.default_rng(1)
    shaken.positions += rng.normal(scale=0.1, size=shaken.positions.shape)
    cut = clusters(box, CLUSTER_SIZES, seed=2)
    return {f"cluster{len(c) // 3}": c for c in cut} | {"box": shaken}


def results(plan: ValidationOptions, places: dict[str, Path]) -> dict[str, AnalysisReport]:
    """Analyse the runs of each ensemble, the conservative one first."""
    found = {}
    for ensemble in plan.ensembles:
        # a thermostat takes its time to what the forces make of it
        skip_ps = 0.0 if ensemble == "nve" else SKIP * plan.length_ps
        folders = [places[f"{ensemble}_{forces}"] for forces in FORCES]
        found[ensemble] = analyze([[open_run(folder, skip_ps=skip_ps)] for folder in folders])
    return found


def targets(reports: dict[str, AnalysisReport], pair: Pair) -> dict[str, dict[str, float]]:
    """Kinetic temperatures of species (K) that each thermostat should give with this step."""
    found = {}
    for ensemble, report in reports.items():
        (run,) = report.analyses[0].runs
        frames = run.frames("positions")
        if ensemble == "nve" or frames is None:
            continue
        some = frames.beads[0][:: max(1, len(frames.times) // FEW)]
        step_fs = 1e3 * run.timestep_ps if ensemble == "svr" else 0.0
        forces = both_forces(pair, some)[Role.CONSERVATIVE]
        found[ensemble] = species_temperatures(some, forces, step_fs, run.target_K)
    return found


def html(
    plan: ValidationOptions,
    subject: Subject,
    reports: dict[str, AnalysisReport],
    judged: Sequence[Verdict],
    optimised: Sequence[Optimised],
) -> str:
    """One page: what holds, optimisations, and all figures and pictures of each ensemble."""
    note = (
        f"Of {subject.name}, {plan.length_ps:g} ps for each run. "
        f"± is one standard error; a claim of equality holds within {NEAR:g} of them. Under SVR, "
        "which holds the total kinetic energy only, the finite step makes atoms in stiff bonds "
        "colder and others hotter, whatever the forces: that is in the targets."
    )
    rows = [[v.claim, v.found, answer(v)] for v in judged]
    parts = [section("What holds", note), table(["claim", "found", ""], rows)]
    if optimised:
        head = ["forces", "succeeded", "steps (median)", "largest force left, eV/Å"]
        parts += [section("Geometry optimisation"), table(head, rates(optimised))]
    for ensemble, report in reports.items():
        parts += [f"<h1>{ensemble.upper()}</h1>", *sections(report)]
    return page("Direct, conservative and corrected forces", parts)


def to_json(
    plan: ValidationOptions,
    reports: dict[str, AnalysisReport],
    judged: Sequence[Verdict],
    done: Sequence[Optimised],
) -> str:
    """All of it as JSON."""
    return json.dumps(
        {
            "plan": asdict(plan) | {"input": plan.input and str(plan.input)},
            "verdicts": [asdict(v) for v in judged],
            "optimised": [asdict(o) for o in done],
            "runs": {name: json.loads(report.to_json()) for name, report in reports.items()},
        },
        indent=2,
    )
