"""Requests at the same structure are evaluated once, predicted where they repeat, always right."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from simulation import HALFKICK, PROMPT_IPI, Case, last_positions, simulate, start, write

from halfkick.driver.server.predictor import Predictor, mts_pattern
from halfkick.models.base import ForceResult

RESULT = ForceResult(0.0, np.zeros((1, 3)), np.zeros((3, 3)))


def play(predictor, directs, conservative, outer_steps):
    """Direct requests 0…directs-1 an outer step, then conservative ones at some of them."""
    predicted = []
    for step in range(outer_steps):
        answers = [predictor.observe_direct((step, i)) for i in range(directs)]
        predicted.append([i for i, yes in enumerate(answers) if yes])
        for i in conservative:
            predictor.observe_conservative((step, i))
    return predicted


@pytest.mark.parametrize(
    ("directs", "conservative"),
    [(1, [0]), (8, [7]), (32, [28, 29, 30, 31]), (12, [0, 11])],
)
def test_predictor_learns_the_pattern_in_two_outer_steps(directs, conservative):
    predicted = play(Predictor(), directs, conservative, 5)
    assert predicted == [[], [], conservative, conservative, conservative]


@pytest.mark.parametrize("given", [mts_pattern(8, 1), mts_pattern(8, 4)], ids=["alone", "beads"])
def test_predictor_uses_a_given_pattern_from_the_start(given):
    length, last = given
    predictor = Predictor(given)
    for _ in range(2):  # the start, where all beads coincide
        predictor.observe_direct("start")
        predictor.observe_conservative("start")
    assert play(predictor, length, sorted(last), 3) == [sorted(last)] * 3


@pytest.mark.parametrize("length", [2, 5, 16])
def test_predictor_gives_up_a_given_pattern_that_is_wrong(length):
    predictor = Predictor(mts_pattern(8, 1))
    predicted = play(predictor, length, [length - 1], 6)
    assert predicted[3:] == [[length - 1]] * 3
    assert sum(place != length - 1 for step in predicted for place in step) <= 1


def test_predictor_forgets_a_broken_pattern():
    predictor = Predictor()
    play(predictor, 4, [3], 3)
    assert play(predictor, 6, [5], 4) == [[3], [], [5], [5]]


def test_predictor_without_conservative_requests_predicts_and_keeps_nothing():
    predictor = Predictor()
    assert not any(predictor.observe_direct(i) for i in range(100_000))
    assert len(predictor._indices) < 20_000


def test_predictor_keeps_a_result_for_its_structure_and_one_outer_step():
    predictor = Predictor()
    predictor.observe_direct("a")
    predictor.keep("a", RESULT)
    assert predictor.take("b") is None
    assert predictor.take("a") is RESULT
    assert predictor.take("a") is None
    predictor.keep("a", RESULT)
    predictor.observe_conservative("a")
    predictor.observe_direct("c")  # the next outer step begins
    assert predictor.take("a") is None
    assert predictor.wasted == 1


def report(folder, case):
    write(folder, case)
    ipi = start([*PROMPT_IPI, "input.xml"], folder, "i-pi.log")
    driver = start([*HALFKICK, "serve", "input.xml", "--report", "r.json"], folder, "driver.log")
    try:
        assert [ipi.wait(120), driver.wait(120)] == [0, 0]
    finally:
        for process in (ipi, driver):
            process.kill()
            process.wait()
    return json.loads((folder / "r.json").read_text())


@pytest.mark.parametrize(
    ("case", "directs"),
    [
        (Case("svr", strides=(1, 4), steps=30), 4),
        (Case("npt", strides=(1, 4), steps=30), 4),
        (Case("nve", strides=(1, 2, 2), steps=30), 4),
        (Case("pile", strides=(1, 4), beads=4, batch=4, steps=30), 4),
        (Case("pile", strides=(1, 4), beads=4, steps=30), 4),
        (Case("pile", strides=(1, 4), beads=4, batch=3, steps=30), 4),
    ],
    ids=["svr", "npt", "nested", "batched", "connections", "short batches"],
)
def test_conservative_forces_are_ready_when_asked(tmp_path, case, directs):
    counts = report(tmp_path, case)
    evaluations, predictions = counts["evaluations"], counts["predictions"]
    steps, beads = case.steps, case.beads
    # at the start all beads coincide, so that between one and all of them are evaluated
    for role, requests in (("direct", directs * steps), ("conservative", steps)):
        assert 1 <= evaluations[role] + evaluations["both"] - requests * beads <= beads
    # predicted from the first outer step on, as the stride stands in the input
    assert predictions["hits"] == steps * beads
    assert predictions["misses"] <= beads  # at the start
    assert predictions["wasted"] == 0
    inside = tmp_path / "inside"
    inside.mkdir()
    simulate(inside, replace(case, mode=None, batch=1))
    assert np.abs(last_positions(tmp_path) - last_positions(inside)).max() < 1e-10
