"""What i-PI can do, it does the same with halfkick: every number of every output.

Each folder of ``features`` holds a small input for some of it. It is run by ``halfkick run``, and
by i-PI alone with the same arithmetic (see :mod:`twins`).
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree
from xml.etree import ElementTree

import pytest
from same_numbers import compare_runs
from twins import Ended, Twins, give_addresses, without_sockets

FEATURES = Path(__file__).parent / "features"
NAMES = sorted(path.parent.name for path in FEATURES.glob("*/input.xml"))
TIMEOUT_S = 120.0

SLOW = {"minimum", "normal_modes", "thermostats"}
"""What is near to others, and left to long runs of the tests."""


def twins_of(name: str, folder: Path) -> Twins:
    """Two folders with the input, one of them for i-PI alone."""
    inputs = []
    for run in ("halfkick", "ipi"):
        xml = copytree(FEATURES / name, folder / run) / "input.xml"
        tree = ElementTree.parse(xml)
        give_addresses(tree.getroot())
        if run == "ipi":
            without_sockets(tree.getroot())
        tree.write(xml)
        inputs.append(xml)
    return Twins(*inputs)


def run_both(twins: Twins) -> tuple[Ended, Ended]:
    """i-PI alone and halfkick, beside each other."""
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(run, TIMEOUT_S) for run in (twins.run_theirs, twins.run_ours)]
    alone, ours = (run.result() for run in runs)
    return alone, ours


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NAMES]
)
@pytest.mark.usefixtures("nothing_outlives_the_test")
def test_feature_gives_the_numbers_of_ipi_alone(name, tmp_path):
    twins = twins_of(name, tmp_path)
    before = {path.name for path in (FEATURES / name).iterdir()}
    alone, ours = run_both(twins)
    assert alone.code == 0, alone.said[-2000:]
    assert ours.code == 0, ours.said
    assert ours.left == []
    found = twins.compare(before)
    assert found.differences == []
    assert found.numbers > 20
    summary = json.loads((twins.ours.parent / "summary.json").read_text())
    assert summary["state"] == "finished"


@pytest.mark.usefixtures("nothing_outlives_the_test")
def test_slightly_stronger_model_gives_other_numbers(tmp_path):
    twins = twins_of("elastic_band", tmp_path)
    twins.ours.write_text(twins.ours.read_text().replace("scale=1.0", "scale=1.00001"))
    assert [run.code for run in run_both(twins)] == [0, 0]
    differences = twins.compare(set()).differences
    assert any(difference.startswith("simulation.out") for difference in differences), differences


def test_comparison_notices_one_digit(tmp_path):
    outputs = {}
    for name, last in (("one", "1.00000000e-03"), ("other", "1.00000020e-03")):
        path = tmp_path / name
        path.write_text(f"# step energy\n 0 2.00000000e-03\n 1 {last}\n")
        outputs[name] = {"simulation.out": path}
    assert compare_runs(outputs["one"], outputs["one"]).differences == []
    (difference,) = compare_runs(outputs["one"], outputs["other"]).differences
    assert "line 3, column 2: 1.00000000e-03 for 1.00000020e-03" in difference
