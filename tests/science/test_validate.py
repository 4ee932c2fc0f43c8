"""``halfkick validate``: what it runs on, how it judges, and both on models with known faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import toy
from ase import Atoms
from wells import OFFSET, STIFFNESS, wells

from halfkick.driver.errors import InputError
from halfkick.driver.run.processes import Machine
from halfkick.driver.run.runner import quiet_runner
from halfkick.driver.study.analysis.collect import Analysis
from halfkick.driver.study.analysis.molecules import find_molecules
from halfkick.driver.study.analysis.observables import Curve, Quantity, Scalar
from halfkick.driver.study.analysis.report import AnalysisReport
from halfkick.driver.study.validation.boxes import clusters, water_box
from halfkick.driver.study.validation.optimise import RECIPES, Optimised, optimise, rates
from halfkick.driver.study.validation.validate import (
    ValidationOptions,
    html,
    results,
    simulate,
    subject_of,
    targets,
)
from halfkick.driver.study.validation.verdicts import verdicts
from halfkick.models.base import Role
from halfkick.models.pair import Pair


@pytest.mark.parametrize("molecules", [32, 64, 512])
def test_water_boxes_hold_whole_molecules(molecules):
    box = water_box(molecules)
    assert len(box) == 3 * molecules
    if molecules < 512:
        assert {len(m) for m in find_molecules(box)} == {3}
    density = box.get_masses().sum() / box.get_volume() * 1.66054
    assert 0.85 < density < 1.17


@pytest.mark.parametrize("molecules", [0, 31, 100])
def test_water_boxes_of_other_sizes_are_refused(molecules):
    with pytest.raises(InputError, match="expected 32, 64"):
        water_box(molecules)


def test_validate_of_a_box_that_cannot_be_made_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="expected 32, 64"):
        subject_of(ValidationOptions(molecules=31), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_water_clusters_are_whole_molecules():
    found = clusters(water_box(32), (2, 5), rattle=0.0)
    for cluster, size in zip(found, (2, 5), strict=True):
        assert cluster.get_chemical_formula(mode="hill") == f"H{2 * size}O{size}"
        assert not cluster.pbc.any()
        assert sorted(len(m) for m in find_molecules(cluster)) == [3] * size
        assert np.ptp(cluster.positions, axis=0).max() < 8.0
    shaken = clusters(water_box(32), (2, 5), rattle=0.1)
    moved = np.concatenate(
        [(a.positions - b.positions).ravel() for a, b in zip(found, shaken, strict=True)]
    )
    assert 0.07 < moved.std() < 0.13  # fmt: skip


def report(drifts=(), temperatures=(), shift=0.0):
    """Three runs: conservative, direct, MTS."""
    x, error = np.linspace(0, 5, 50), np.full(50, 0.1)
    analyses = []
    for index in range(3):
        scalars = []
        if drifts:
            scalars.append(Scalar("drift", "meV/atom/ps", drifts[index], 0.01, Quantity.DRIFT))
        for name, value in zip(("H", "O"), temperatures[index] if temperatures else ()):  # noqa: B905
            shown = f"temperature({name})"
            scalars.append(Scalar(shown, "K", value, 1.0, Quantity.TEMPERATURE, name))
        y = np.random.default_rng(index).normal(scale=0.1, size=50) + (shift if index == 2 else 0.0)
        curves = [Curve("radial distribution", "O-O", "", "", x, y, error)]
        analyses.append(Analysis("", [], scalars, curves))
    return AnalysisReport(analyses)


def judged(reports, **others):
    target = {"H": 300.0, "O": 300.0}
    return [v.holds for v in verdicts(reports, {"svr": target}, **others)]


def test_verdicts_hold_where_they_should():
    good = {"nve": report(drifts=(0.0, 64.0, 0.01))}
    assert judged(good) == [True, True]
    good = {"svr": report(temperatures=((300.5, 299.5), (295.6, 309.9), (299.0, 301.0)))}
    assert judged(good) == [True] * 5


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ({"nve": report(drifts=(0.0, 64.0, 0.1))}, [False, True]),
        ({"nve": report(drifts=(0.0, 0.5, 0.01))}, [True, False]),
        ({"svr": report(temperatures=((300.0, 300.0), (0, 0), (296.0, 300.0)))},
         [False, False, True, True, True]),
        ({"svr": report(temperatures=((304.0, 300.0), (0, 0), (300.0, 300.0)))},
         [True, False, True, True, True]),
        ({"svr": report(temperatures=((300.0, 300.0),) * 3, shift=0.4)},
         [True, True, True, True, False]),
    ],
)  # fmt: skip
def test_verdicts_fail_where_they_should(reports, expected):
    assert judged(reports) == expected


def test_optimisation_rates_are_counted():
    done = [Optimised(s, r, n, 0.01, 0.0, r != "direct")
            for s, n in (("a", 10), ("b", 30)) for r in RECIPES]  # fmt: skip
    assert [row[1:3] for row in rates(done)] == [
        ["2 of 2", "20"],
        ["0 of 2", "20"],
        ["2 of 2", "20"],
    ]
    assert judged({}, optimised=done) == [True]
    spoilt = [*done, Optimised("c", RECIPES[2], 10, 0.1, 0.0, False)]
    assert judged({}, optimised=spoilt) == [False]
    worse = [*done, Optimised("c", RECIPES[0], 10, 0.1, 0.0, False)]
    assert judged({}, optimised=worse) == [True]


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(toy.__file__).parent))
    return quiet_runner(Machine(threads=1))


def test_optimisation_by_direct_forces_misses_the_minimum(run, tmp_path):
    """They stall short of it; from there conservative ones finish the work."""
    start = Atoms("OHOH", np.random.default_rng(0).normal(scale=0.2, size=(4, 3)))
    start.positions[:, 0] += [0.0, 2.0, 4.0, 6.0]
    pair, models = Pair({role: wells() for role in Role}), dict.fromkeys(Role, "python:wells:wells")
    found = optimise({"four": start}, models, pair, tmp_path, run, 60)
    conservative, direct, both = found
    assert [o.success for o in found] == [True, False, True]
    assert direct.force > 0.5 * STIFFNESS * OFFSET
    assert max(conservative.energy, both.energy) < 1e-3 < direct.energy
    assert both.steps > direct.steps and conservative.steps < 60
    again = optimise({"four": start}, models, pair, tmp_path, lambda xml: 0, 60)
    assert again == found


def test_validate_runs_three_forces_with_and_without_thermostat(run, tmp_path):
    """The toy on a box of water: what is judged of real models, and what has run stays."""
    plan = ValidationOptions("python:toy:toy", 32, 0.05, 0.02, 0, ("nve", "svr", "langevin"))
    said = []
    subject = subject_of(plan, tmp_path)
    places = simulate(plan, subject, tmp_path, run, said.append)
    assert said[:4] == ["equilibration", "nve_conservative", "nve_direct", "nve_mts"]
    reports = results(plan, places)
    drifts = [next(s for s in a.scalars if s.name == "drift") for a in reports["nve"].analyses]
    assert abs(drifts[1].value) > 5.0 * abs(drifts[2].value)  # of 12 outer steps

    aims = targets(reports, Pair({role: toy.toy() for role in Role}))
    assert aims["langevin"] == pytest.approx({"H": 300.0, "O": 300.0})
    assert aims["svr"]["H"] < 299.9 < 300.1 < aims["svr"]["O"]
    found = verdicts(reports, aims)
    assert sum("is the target" in v.claim for v in found) == 4
    page = html(plan, subject, reports, found, [])
    assert "direct forces alone drift" in page and page.count("data:image/png") >= 2

    before = {p: (p / "summary.json").stat().st_mtime_ns for p in places.values()}
    simulate(plan, subject_of(plan, tmp_path), tmp_path, run, said.append)
    assert {p: (p / "summary.json").stat().st_mtime_ns for p in places.values()} == before
