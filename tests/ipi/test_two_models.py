"""Two models in one driver: a student inside, its teacher outside, and the gap between them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from pairfit import PairFit, teach
from simulation import (
    DIRECT,
    ENSEMBLES,
    HALFKICK,
    HELPERS,
    PROMPT_IPI,
    SOCKET,
    XML,
    last_positions,
    start,
)
from toy import Toy, atoms

from halfkick.models.base import Role
from halfkick.models.distill.card import DistillCard
from halfkick.models.distill.options import DistillOptions
from halfkick.models.distill.record import Record
from halfkick.models.distill.rounds import Rounds
from halfkick.models.distill.sample import ServedForce, make_walkers

STUDENT = "python:student:student"
TEACHER = "python:toy:toy"
TEACHER_ALONE = "python:toy:toy?direct=False"


@dataclass(frozen=True)
class Field:
    """A force field: its model, its role, its weight at each level, outermost first."""

    model: str
    role: str
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Run:
    """A run of i-PI with several force fields."""

    fields: tuple[Field, ...]
    strides: tuple[int, ...] = (1, 4)
    ensemble: str = "svr"
    beads: int = 1
    batch: int = 1
    steps: int = 12
    temperature_K: float = 300.0
    structure: ase.Atoms | None = None


TWO = Run((Field(STUDENT, "direct", (-1, 1)), Field(TEACHER, "conservative", (1, 0))))
THREE = Run(
    (
        Field(STUDENT, "direct", (0, -1, 1)),
        Field(TEACHER, "direct", (-1, 1, 0)),
        Field(TEACHER, "conservative", (1, 0, 0)),
    ),
    (1, 2, 3),
)
CONSERVATIVE = Run(
    (
        Field(STUDENT, "conservative", (-1, 1)),
        Field(TEACHER_ALONE, "conservative", (1, 0)),
    )
)
BEADS = replace(TWO, ensemble="pile", beads=4, batch=4, steps=8)
RUNS = {"two": TWO, "three levels": THREE, "conservative student": CONSERVATIVE, "beads": BEADS}


def write(folder: Path, run: Run, inside: bool) -> None:
    """Write input.xml and init.xyz; ``inside`` computes within i-PI."""
    folder.mkdir(exist_ok=True)
    ase.io.write(folder / "init.xyz", run.structure or atoms())
    fields, forces = [], []
    for index, field in enumerate(run.fields):
        name = f"field{index}"
        parameters = f"model: {field.model}, role: {field.role}, template: init.xyz"
        if inside:
            fields.append(
                DIRECT.format(name=name, pes=HELPERS / "toy_pes.py", parameters=parameters)
            )
        else:
            batch = f"<batch_size> {run.batch} </batch_size>" if run.batch > 1 else ""
            fields.append(
                SOCKET.format(
                    name=name, mode="unix", address=name, port="", batch=batch, timeout=60,
                    extra="", parameters=parameters,
                )
            )  # fmt: skip
        weights = list(map(float, field.weights))
        forces.append(f"<force forcefield='{name}'><mts_weights> {weights} </mts_weights></force>")
    mts = (
        f"<timestep units='femtosecond'> {0.5 * np.prod(run.strides)} </timestep>"
        f"<nmts> {list(run.strides)} </nmts>"
    )
    xml = XML.format(
        prefix=f"{folder}/",
        steps=run.steps,
        beads=run.beads,
        fields="\n".join(fields),
        forces="\n".join(forces),
        dynamics=ENSEMBLES[run.ensemble].format(mts=mts),
    )
    heat = f"'kelvin'> {run.temperature_K:g} <"
    (folder / "input.xml").write_text(xml.replace("'kelvin'> 300 <", heat))


def simulate(folder: Path, run: Run, inside: bool = False) -> Path:
    """Run i-PI and, unless it computes itself, the driver; both must end well."""
    write(folder, run, inside)
    children = [start([*PROMPT_IPI, "input.xml"], folder, "i-pi.log")]
    try:
        if not inside:
            command = [*HALFKICK, "serve", "input.xml", "--report", "driver.json"]
            children.append(start(command, folder, "driver.log"))
        deadline = time.monotonic() + 120
        for child in children:
            code = child.wait(max(deadline - time.monotonic(), 1.0))
            logs = "".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
            assert code == 0, logs
    finally:
        for child in children:
            child.kill()
            child.wait()
    return folder


def report(folder: Path) -> dict:
    return json.loads((folder / "driver.json").read_text())


@pytest.fixture(scope="module", params=RUNS)
def done(request, tmp_path_factory):
    """A run through sockets and the same one inside i-PI."""
    run = RUNS[request.param]
    folder = tmp_path_factory.mktemp("run")
    return run, simulate(folder / "served", run), simulate(folder / "inside", run, inside=True)


def test_two_models_give_the_trajectory_of_ipi_alone(done):
    run, served, inside = done
    positions = last_positions(served)
    assert positions.shape == (run.beads, 27, 3)
    assert np.abs(positions - last_positions(inside)).max() < 1e-10


def test_two_models_evaluate_nothing_in_vain(done):
    """As many evaluations as force fields ask for; both in one pass only for one model."""
    run, served, _ = done
    counts = report(served)
    done_counts, steps, beads = counts["evaluations"], run.steps, run.beads
    inner = int(np.prod(run.strides))
    asked = {"direct": 0, "conservative": 0}
    for field in run.fields:
        levels = [w != 0 for w in field.weights]
        innermost = max(level for level, used in enumerate(levels) if used)
        asked[field.role] += int(np.prod(run.strides[: innermost + 1])) * steps * beads
    both = done_counts["both"]
    # besides, the start of each force field, whose beads coincide
    for role, number in asked.items():
        assert 0 <= done_counts[role] + both - number <= len(run.fields) * beads, (role, inner)
    if run is THREE:
        assert both - 1 <= counts["predictions"]["hits"] >= steps - 4
    else:
        assert both == counts["predictions"]["hits"] == 0
    assert counts["predictions"]["wasted"] <= 1


def test_two_models_gap_is_reported(done):
    run, served, _ = done
    gaps = report(served)["gaps"]
    pairs = {(gap["fast"], gap["slow"]) for gap in gaps}
    slow = "toy, conservative"
    assert ("student, conservative" if run is CONSERVATIVE else "student, direct", slow) in pairs
    assert len(pairs) == (2 if run is THREE else 1)
    for gap in gaps:
        # beads that coincide at the start are one structure
        assert (run.steps - 1) * run.beads < gap["structures"] <= run.steps * run.beads
        assert gap["rmse_meV_per_A"] > 1.0 and not gap["far_above_card"]


def test_two_models_differ_in_their_trajectories(tmp_path, done):
    """The comparisons above can fail: the student alone goes elsewhere."""
    run, served, _ = done
    if run.beads > 1:
        pytest.skip("as with one bead")
    alone = replace(run, fields=(replace(run.fields[0], weights=(1.0,) * len(run.strides)),))
    assert np.abs(last_positions(simulate(tmp_path, alone)) - last_positions(served)).max() > 1e-3


@pytest.mark.parametrize(("card", "warned"), [(1.0, True), (1e4, False)])
def test_gap_far_above_the_card_is_said_once(tmp_path, card, warned):
    model = f"{STUDENT}?card={card}"
    folder = simulate(
        tmp_path, replace(TWO, fields=(replace(TWO.fields[0], model=model), TWO.fields[1]))
    )
    assert (folder / "driver.log").read_text().count("as its card says") == warned
    (gap,) = report(folder)["gaps"]
    assert gap["far_above_card"] is warned and gap["card_meV_per_A"] == card


def test_gap_of_a_cold_student_in_hot_water_is_said(tmp_path):
    """Distilled near 20 K it is near its teacher there, and far from it at 3000 K."""
    options = DistillOptions(
        temperatures_K=(20.0,), frames=8, rounds=1, trajectories=1, interval_fs=10, strain=0.0
    )
    source = ServedForce(Toy(), Role.CONSERVATIVE)
    relaxed = settle(source)
    record = Record(tmp_path, options.lasting())
    rounds = Rounds(
        source, make_walkers([relaxed], options), tmp_path, record, options, teach, PairFit
    )
    best = rounds.run()
    card = DistillCard.of(record, rounds.labels, options, best, "toy", None, [])
    card.write(rounds.student(best))
    assert "| all |" in rounds.student(best).with_suffix(".card.md").read_text()

    fast = Field(f"python:student:fitted?path={rounds.student(best)}", "direct", (-1, 1))
    for temperature, far in ((20.0, False), (3000.0, True)):
        run = replace(
            TWO, fields=(fast, TWO.fields[1]), temperature_K=temperature, structure=relaxed
        )
        folder = simulate(tmp_path / f"{temperature:g}", run)
        (gap,) = report(folder)["gaps"]
        assert gap["far_above_card"] is far
        assert gap["card_meV_per_A"] == card.gap["all"]["rmse"]
        text = (folder / "driver.log").read_text()
        assert ("used outside of what it was made for" in text) is far


def settle(force: ServedForce) -> ase.Atoms:
    """The toy's structure after some steps downhill."""
    structure = atoms()
    structure.info["walker"] = 0
    for _ in range(300):
        (result,) = force(structure, structure.positions[None])
        structure.positions += 0.02 * result.forces
    return structure
