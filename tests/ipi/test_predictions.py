"""Structures that i-PI asks for both forces are evaluated once, and what it asks is foreseen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from simulation import HALFKICK, PROMPT_IPI, Case, last_positions, simulate, start, write

from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.server.cycle import Cycle, Foreseen, foresee
from halfkick.driver.server.predictor import Other, Predictor
from halfkick.models.base import ForceResult, Role

RESULT = {Role.CONSERVATIVE: ForceResult(0.0, np.zeros((1, 3)), np.zeros((3, 3)))}
D, C = Role.DIRECT, Role.CONSERVATIVE
ROLES = {"direct": D, "conservative": C}


def contracted(beads: int, levels: int = 2) -> Callable[[str], str]:
    """An edit that corrects direct forces on so many beads: the usual three components."""
    outer, inner = [1] + [0] * (levels - 1), [0] * (levels - 1) + [1]
    forces = "".join(
        f"<force forcefield='{name}' {how}> <mts_weights> {weights} </mts_weights> </force>"
        for name, how, weights in (
            ("conservative", f"nbeads='{beads}'", outer),
            ("direct", f"nbeads='{beads}' weight='-1'", outer),
            ("direct", "", inner),
        )
    )
    return lambda xml: re.sub("(?s)<forces>.*</forces>", f"<forces> {forces} </forces>", xml)


def as_it_is(xml: str) -> str:
    return xml


PIMD = Case("pile", strides=(1, 4), beads=8)
FORESEEN = {
    "one": (Case(strides=(1, 4)), as_it_is, Cycle(3, 1)),
    "beads": (PIMD, as_it_is, Cycle(24, 8)),
    "nested": (Case(strides=(1, 2, 2)), as_it_is, Cycle(3, 1)),
    "outside, too": (Case(strides=(2, 3)), as_it_is, Cycle(2, 1)),
    "two of eight": (PIMD, contracted(2), Cycle(32, 2)),
    "all of eight": (PIMD, contracted(8), Cycle(24, 8)),
    "nested, four": (replace(PIMD, strides=(1, 2, 2)), contracted(4, 3), Cycle(32, 4)),
    "correction alone": (
        PIMD,
        lambda xml: xml.replace("'conservative'><mts", "'conservative' nbeads='2'><mts"),
        None,
    ),
    "no direct": (Case(roles=("conservative",), strides=(1,)), as_it_is, None),
}


def read(folder, case, edit):
    path = write(folder, case)
    path.write_text(edit(path.read_text()))
    return IpiInput.read(path)


@pytest.mark.parametrize("name", FORESEEN)
def test_cycle_is_that_of_the_input(tmp_path, name):
    case, edit, cycle = FORESEEN[name]
    assert foresee(read(tmp_path, case, edit).systems, ROLES).cycle == cycle


Phases = Iterable[Sequence[tuple[object, Role]]]
"""What is asked at once, one after the other: structures and roles."""


def outer_steps(count: int, alone: int, paired: int, *, at_once: bool) -> Phases:
    """Both forces of a pair come at once, as under contraction, or first all direct ones."""
    for step in range(count):
        for index in range(0, alone, paired):
            yield [((step, index + bead), D) for bead in range(min(paired, alone - index))]
        pairs = {role: [((step, alone + bead), role) for bead in range(paired)] for role in (D, C)}
        yield from [pairs[D] + pairs[C]] if at_once else [pairs[D], pairs[C]]


def play(predictor: Predictor, phases: Phases, seed: int = 0) -> Iterator[tuple[object, Other]]:
    """What is predicted, the requests of a phase in any order."""
    rng = np.random.default_rng(seed)
    for phase in phases:
        for index in rng.permutation(len(phase)):
            structure, role = phase[index]
            yield structure, predictor.observe(structure, role)


def expected(answers: Iterable[tuple[object, Other]]) -> set[object]:
    return {structure for structure, other in answers if other is Other.EXPECTED}


def pairs(steps: Iterable[int], alone: int, paired: int) -> set[object]:
    return {(step, index) for step in steps for index in range(alone, alone + paired)}


@pytest.mark.parametrize("at_once", [False, True], ids=["after", "at once"])
@pytest.mark.parametrize("shape", [(7, 1), (28, 4), (32, 2), (32, 8)])
def test_predictor_learns_a_cycle_that_came_twice(shape, at_once):
    answers = play(Predictor(), outer_steps(6, *shape, at_once=at_once))
    assert expected(answers) == pairs(range(2, 6), *shape)


@pytest.mark.parametrize("beads", ["apart", "coincide"])
@pytest.mark.parametrize("name", ["beads", "two of eight", "nested, four"])
def test_predictor_foresees_all_pairs_after_the_start(tmp_path, name, beads):
    case, edit, cycle = FORESEEN[name]
    foreseen = foresee(read(tmp_path, case, edit).systems, ROLES)
    at_start = {D: 8 + cycle.paired * (cycle.alone == 32), C: cycle.paired}
    assert foreseen.start in ({}, at_start)
    of_start = {
        role: [("start", i if beads == "apart" else 0) for i in range(count)]
        for role, count in at_start.items()
    }
    first = [[(structure, role) for role in (D, C) for structure in of_start[role]]]
    for seed in range(5):
        steps = [*outer_steps(4, *cycle, at_once=cycle.alone == 32)]
        answers = play(Predictor(foreseen), [*first, *steps], seed)
        assert expected(answers) == pairs(range(4), *cycle)


def test_predictor_that_joins_a_run_waits_for_the_first_pairs(tmp_path):
    case, edit, cycle = FORESEEN["two of eight"]
    foreseen = foresee(read(tmp_path, case, edit).systems, ROLES)
    steps = [*outer_steps(4, *cycle, at_once=True)]
    assert expected(play(Predictor(foreseen), steps[5:])) == pairs(range(1, 4), *cycle)


def test_predictor_learns_another_cycle_than_the_foreseen():
    predictor = Predictor(Foreseen(Cycle(7, 1)))
    answers = play(predictor, outer_steps(6, 4, 1, at_once=False))
    assert expected(answers) == pairs(range(2, 6), 4, 1)


def test_predictor_finds_its_place_after_requests_in_between():
    """Such as properties at other coordinates, which ask for both forces of all beads."""
    predictor = Predictor(Foreseen(Cycle(24, 8)))
    steps = [*outer_steps(6, 24, 8, at_once=False)]
    between = [[((9, i), role) for i in range(8)] for role in (D, C)]
    answers = play(predictor, steps[:10] + between + steps[10:])
    assert expected(answers) == pairs(range(6), 24, 8)


def test_predictor_without_conservative_requests_predicts_and_keeps_nothing():
    predictor = Predictor()
    assert {predictor.observe(i, D) for i in range(100_000)} == {Other.UNEXPECTED}
    assert len(predictor._asked) < 20_000


def test_predictor_keeps_a_result_for_its_structure_and_one_cycle():
    predictor = Predictor(Foreseen(Cycle(1, 1)))
    predictor.observe("a", D)
    assert predictor.observe("b", D) is Other.EXPECTED
    predictor.keep("b", RESULT)
    assert predictor.kept("a") == {}
    assert predictor.kept("b") is RESULT
    answers = [predictor.observe(name, D) for name in "cde"]
    assert predictor.kept("b") == {}
    assert predictor.wasted == 1
    # in vain: until the next pair nothing more is predicted
    assert answers[-1] is predictor.observe("f", D) is Other.UNEXPECTED
    assert predictor.observe("f", C) is Other.ASKED
    assert [predictor.observe(name, D) for name in "gh"] == [Other.UNEXPECTED, Other.EXPECTED]


def test_conservative_forces_of_contracted_beads_foretell_direct_ones(tmp_path):
    """Of two systems that go their own ways: whatever the order, nothing is made in vain."""
    case, edit, cycle = FORESEEN["two of eight"]
    foreseen = foresee(read(tmp_path, case, several(edit)).systems, ROLES)
    assert foreseen == Foreseen(Cycle(64, 4), {}, C)
    for first, second in ((D, C), (C, D)):
        predictor, told = Predictor(foreseen), []
        for step in range(4):
            for system in range(2):
                alone = [((step, system, index), D) for index in range(cycle.alone)]
                beads = [(step, system, "contracted", index) for index in range(2)]
                pairs = [(bead, role) for role in (first, second) for bead in beads]
                told += [(s, r, predictor.observe(s, r)) for s, r in alone + pairs]
        expected = {(structure, role) for structure, role, other in told if other is Other.EXPECTED}
        of_pairs = {(s, C) for s, *_ in told if "contracted" in s}
        assert expected == (of_pairs if first is C else set())
        assert predictor.wasted == 0


def several(edit, count=2):
    """An edit that makes so many systems of one, each at a temperature of its own."""

    def made(xml):
        xml = edit(xml)
        system = re.search(r"(?s)<system>.*</system>", xml)[0]
        copies = [
            system.replace("<system>", f"<system prefix='s{k}'>").replace(
                "'kelvin'> 300 <", f"'kelvin'> {300 + 20 * k} <"
            )
            for k in range(count)
        ]
        return xml.replace(system, "".join(copies))

    return made


def serve(folder, name="input.xml"):
    """Run i-PI on an input in a folder; what the driver counted."""
    ipi = start([*PROMPT_IPI, name], folder, "i-pi.log")
    driver = start([*HALFKICK, "serve", name, "--report", "r.json"], folder, "driver.log")
    try:
        assert [ipi.wait(120), driver.wait(120)] == [0, 0]
    finally:
        for process in (ipi, driver):
            process.kill()
            process.wait()
    return json.loads((folder / "r.json").read_text())


def assert_counts(counts, case, cycle, first=0):
    """Of the structures of each outer step from ``first`` on, none was evaluated in two passes.

    At the start beads may coincide, so that between none and all of them are evaluated.
    """
    evaluations, predictions = counts["evaluations"], counts["predictions"]
    at_start = case.beads + cycle.paired
    late = (1 + first) * cycle.paired
    assert 0 <= evaluations["both"] + first * cycle.paired - case.steps * cycle.paired <= late
    assert 0 <= evaluations["direct"] - case.steps * cycle.alone <= at_start + late
    assert evaluations["conservative"] <= late
    assert evaluations["both"] >= predictions["hits"] >= (case.steps - first) * cycle.paired
    assert predictions["misses"] <= late
    assert predictions["wasted"] == 0


RUNS = {
    "svr": (Case("svr", strides=(1, 4), steps=30), as_it_is),
    "npt": (Case("npt", strides=(1, 4), steps=30), as_it_is),
    "nested": (Case("nve", strides=(1, 2, 2), steps=30), as_it_is),
    "batched": (Case("pile", strides=(1, 4), beads=4, batch=4, steps=30), as_it_is),
    "connections": (Case("pile", strides=(1, 4), beads=4, steps=30), as_it_is),
    "short batches": (Case("pile", strides=(1, 4), beads=4, batch=3, steps=30), as_it_is),
    "contracted": (replace(PIMD, steps=15), contracted(2)),
    "contracted batches": (replace(PIMD, steps=15, batch=8), contracted(4)),
    "contracted nested": (replace(PIMD, steps=10, strides=(1, 2, 2)), contracted(2, 3)),
}


@pytest.mark.parametrize("name", RUNS)
def test_both_forces_are_ready_when_asked(tmp_path, name):
    case, edit = RUNS[name]
    cycle = foresee(read(tmp_path, case, edit).systems, ROLES).cycle
    # contracted beads that coincide cannot be told from what fills up a batch
    assert_counts(serve(tmp_path), case, cycle, first=name == "contracted batches")
    inside = tmp_path / "inside"
    inside.mkdir()
    simulate(inside, replace(case, mode=None, batch=1), edit=edit)
    assert np.abs(last_positions(tmp_path) - last_positions(inside)).max() < 1e-10


def test_both_forces_are_ready_after_a_restart(tmp_path):
    case, edit = RUNS["contracted"]
    cycle = foresee(read(tmp_path, case, edit).systems, ROLES).cycle
    serve(tmp_path)
    text = (tmp_path / "RESTART").read_text()
    steps = f"<total_steps>{2 * case.steps}</total_steps>"
    (tmp_path / "on.xml").write_text(re.sub("(?s)<total_steps>.*?</total_steps>", steps, text))
    assert_counts(serve(tmp_path, "on.xml"), case, cycle)


@pytest.mark.parametrize("batch", [1, 8])
def test_two_systems_under_contraction_waste_nothing(tmp_path, batch):
    """Of each outer step 64 structures are asked for direct forces alone, and 4 for both."""
    case = replace(PIMD, steps=10, batch=batch)
    read(tmp_path, case, several(contracted(2)))
    counts = serve(tmp_path)
    evaluations, predictions = counts["evaluations"], counts["predictions"]
    assert predictions["wasted"] == 0
    assert predictions["hits"] + predictions["misses"] >= 4 * case.steps
    assert evaluations["both"] <= predictions["hits"]
    at_start = 2 * (8 + 2) * 2
    assert evaluations["conservative"] <= predictions["misses"] + at_start
    assert evaluations["direct"] <= 64 * case.steps + predictions["misses"] + at_start
