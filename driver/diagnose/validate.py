"""The dark side and its cure: a model's direct, conservative and corrected forces, side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from halfkick.driver.config import ConfigError
from halfkick.driver.diagnose.analyze import Analysis, Report, analyze, sections
from halfkick.driver.diagnose.boxes import clusters, water_box
from halfkick.driver.diagnose.optimise import RECIPES, Optimised, optimise, rates
from halfkick.driver.diagnose.outputs import open_run
from halfkick.driver.diagnose.page import page, section, table
from halfkick.driver.diagnose.runner import Runner
from halfkick.driver.diagnose.tune import equilibrate
from halfkick.driver.diagnose.values import Scalar, deviation, difference
from halfkick.driver.diagnose.variants import Template, Variant
from halfkick.driver.run.estimate import with_error
from halfkick.driver.run.launch import copy_scenario
from halfkick.models.check.pair import Pair

__all__ = ["Plan", "Verdict", "answer", "html", "results", "simulate"]

SCENARIO = "water_nve_mts"
FORCES = ("conservative", "direct", "mts")
TAU_FS = {"nve": 0.0, "svr": 10.0, "langevin": 100.0}
DIRECT_PS = 0.5  # at constant energy: longer, direct forces leave what the model knows
CLUSTER_SIZES = (2, 3, 4, 5, 6, 8)
TARGET_K = 300.0
SKIP = 0.1  # of a run with a thermostat
NEAR = 2.0  # standard errors
ALIKE = 1.5  # RMS difference of two curves in units of its error, beyond which they differ
FRAMES_FS = {"nve": 4.0, "svr": 40.0, "langevin": 40.0}  # between frames; vibrations need few


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        model: as in ``<parameters> model``; of water.
        molecules: in the box.
        length_ps: of each run; direct forces at constant energy are run for half a ps at most.
        equilibrate_ps: with corrected forces, before all of them.
        optimise_steps: most steps of an optimisation; 0 leaves optimisations out.
        ensembles: of ``nve``, ``svr`` and ``langevin``.
    """

    model: str = "water"
    molecules: int = 32
    length_ps: float = 5.0
    equilibrate_ps: float = 1.0
    optimise_steps: int = 200
    ensembles: Sequence[str] = tuple(TAU_FS)

    def __post_init__(self) -> None:
        unknown = [name for name in self.ensembles if name not in TAU_FS]
        if unknown:
            raise ConfigError(f"expected --ensemble {', '.join(TAU_FS)}, got '{unknown[0]}'")


@dataclass(frozen=True)
class Verdict:
    """A claim, what was found, and whether it holds; ``None`` where the runs do not tell."""

    claim: str
    found: str
    holds: bool | None


def simulate(plan: Plan, folder: Path, run: Runner, say: Callable[[str], None]) -> dict[str, Path]:
    """Run three forces in three ensembles from one state; what has been run is not run again.

    Returns:
        ``ensemble_forces`` -> folder.

    Raises:
        ConfigError: if the equilibration fails.
    """
    template = _template(plan, folder)
    step, stride = template.inner_fs, template.stride
    say("equilibration")
    first = Variant("mts", step, plan.equilibrate_ps, stride=stride, ensemble="langevin")
    start = equilibrate(template, first, folder / "start", run)
    places = {}
    for ensemble in plan.ensembles:
        for forces in FORCES:
            name = f"{ensemble}_{forces}"
            say(name)
            m = stride if forces == "mts" else 1
            alone = ensemble == "nve" and forces == "direct"
            variant = Variant(
                forces, step, min(plan.length_ps, DIRECT_PS) if alone else plan.length_ps,
                stride=m, ensemble=ensemble, tau_fs=TAU_FS[ensemble], seed=17,
                every=max(1, round(FRAMES_FS[ensemble] / (m * step))),
            )  # fmt: skip
            run(template.write(variant, folder / name, start=start, species=("H", "O")))
            places[name] = folder / name
    return places


def _template(plan: Plan, folder: Path) -> Template:
    """The scenario with the plan's model and box."""
    from ase.io import write

    scenario = copy_scenario(SCENARIO, folder)
    write(scenario / "init.xyz", water_box(plan.molecules))
    path = scenario / "input.xml"
    path.write_text(path.read_text().replace("{model: water,", f"{{model: {plan.model},"))
    return Template(path)


def geometries(
    plan: Plan, folder: Path, pair: Pair, run: Runner, say: Callable[[str], None]
) -> list[Optimised]:
    """Optimise perturbed clusters and a perturbed box by each recipe."""
    box = water_box(32)
    rng = np.random.default_rng(1)
    shaken = box.copy()
    shaken.positions += rng.normal(scale=0.1, size=shaken.positions.shape)
    cut = clusters(box, CLUSTER_SIZES, seed=2)
    structures = {f"cluster{len(c) // 3}": c for c in cut} | {"box": shaken}
    found = []
    for name, atoms in structures.items():
        say(f"optimisation of {name}")
        found += optimise(
            {name: atoms}, plan.model, pair, folder / "optimise", run, plan.optimise_steps
        )
    return found


def results(plan: Plan, places: dict[str, Path]) -> dict[str, Report]:
    """Analyse the runs of each ensemble, the conservative one first."""
    found = {}
    for ensemble in plan.ensembles:
        # a thermostat takes its time to what the forces make of it
        skip_ps = 0.0 if ensemble == "nve" else SKIP * plan.length_ps
        folders = [places[f"{ensemble}_{forces}"] for forces in FORCES]
        found[ensemble] = analyze([open_run(folder, skip_ps=skip_ps) for folder in folders])
    return found


def verdicts(reports: dict[str, Report], optimised: Sequence[Optimised] = ()) -> list[Verdict]:
    """Compare what was found with what is claimed."""
    found = []
    for ensemble, report in reports.items():
        found += _isolated(report) if ensemble == "nve" else _thermal(ensemble, report)
    return found + _optimised(optimised)


def _isolated(report: Report) -> list[Verdict]:
    conservative, direct, mts = (_figures(a)["drift"] for a in report.analyses)
    return [
        _near("nve, MTS: drifts as conservative forces do", mts, conservative),
        _heats(direct, mts),
        *_alike("nve", report, "vibrations"),
    ]


def _thermal(ensemble: str, report: Report) -> list[Verdict]:
    conservative, _, mts = (_figures(a) for a in report.analyses)
    found = []
    for name in ("temperature(H)", "temperature(O)"):
        target = Scalar(name, "K", TARGET_K, 0.0)
        what = f"{ensemble}, MTS: {name}"
        found.append(_near(f"{what} is the target", mts[name], target))
        found.append(_near(f"{what} is that of conservative forces", mts[name], conservative[name]))
    return found + _alike(ensemble, report, "radial distribution")


def _figures(analysis: Analysis) -> dict[str, Scalar]:
    return {s.name: s for s in analysis.scalars}


def _near(claim: str, one: Scalar, other: Scalar) -> Verdict:
    sigmas = difference(one, other)
    text = f"{with_error(one.value, one.error)} against {with_error(other.value, other.error)}"
    if sigmas is None:
        return Verdict(claim, f"{text} {one.unit}", None)
    return Verdict(claim, f"{text} {one.unit}: {sigmas:+.1f} σ", abs(sigmas) < NEAR)


def _heats(direct: Scalar, mts: Scalar) -> Verdict:
    """Judged by what the drift of MTS may be at most: its value or its error."""
    most = max(abs(mts.value), mts.error or 0.0)
    ratio = abs(direct.value) / most if most else float("inf")
    text = f"{with_error(direct.value, direct.error)} meV/atom/ps, {ratio:.0f} times MTS"
    return Verdict(
        "nve: direct forces alone heat 100 times faster than MTS drifts", text, ratio >= 100
    )


def _alike(ensemble: str, report: Report, group: str) -> list[Verdict]:
    conservative, _, mts = report.analyses
    other = {c.name: c for c in mts.curves if c.group == group}
    found = []
    for curve in conservative.curves:
        if curve.group == group and curve.name in other:
            value = deviation(curve, other[curve.name])
            claim = f"{ensemble}, MTS: {group} {curve.name} is that of conservative forces"
            text = "" if value is None else f"RMS difference {value:.2f} of its error"
            found.append(Verdict(claim, text, None if value is None else value < ALIKE))
    return found


def _optimised(optimised: Sequence[Optimised]) -> list[Verdict]:
    if not optimised:
        return []
    (_, conservative, *_), (_, direct, *_), (_, both, *_) = rates(optimised)
    claim = "optimisation by direct, then conservative forces succeeds as often as by the latter"
    text = f"{both} against {conservative}; direct forces alone {direct}"
    alone, _, after = (np.mean([o.success for o in optimised if o.recipe == r]) for r in RECIPES)
    return [Verdict(claim, text, bool(after >= alone))]


def html(
    plan: Plan,
    reports: dict[str, Report],
    judged: Sequence[Verdict],
    optimised: Sequence[Optimised],
) -> str:
    """One page: what holds, optimisations, and all figures and pictures of each ensemble."""
    note = (
        f"Model {plan.model}, {plan.molecules} molecules, {plan.length_ps:g} ps for each run. "
        f"± is one standard error; a claim of equality holds within {NEAR:g} of them."
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
    plan: Plan, reports: dict[str, Report], judged: Sequence[Verdict], done: Sequence[Optimised]
) -> str:
    """All of it as JSON."""
    return json.dumps(
        {
            "plan": asdict(plan),
            "verdicts": [asdict(v) for v in judged],
            "optimised": [asdict(o) for o in done],
            "runs": {name: json.loads(report.to_json()) for name, report in reports.items()},
        },
        indent=2,
    )


def answer(verdict: Verdict) -> str:
    """In a word or two."""
    return {True: "holds", False: "does not hold!", None: "not known"}[verdict.holds]
