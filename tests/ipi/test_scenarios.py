"""Every input that ships runs through i-PI and the driver with the water model."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import ase.io
import numpy as np
import pytest
from simulation import ENVIRONMENT, HALFKICK

SCENARIOS = sorted(path.parent for path in Path(__file__).parents[2].glob("ipi_inputs/*/input.xml"))
TWO_MODELS = "water_distilled_mts"
MULTIPLE = [folder for folder in SCENARIOS if "_mts" in folder.name and folder.name != TWO_MODELS]
STEPS = 4
STEPS_OF_BEADS = 2  # eight times as much work
N_ATOMS = 192
CONSERVED = 2e-3  # eV/atom; with O-H bonds, half of it is the integrator's own at 0.5 fs


@pytest.fixture(params=SCENARIOS, ids=lambda folder: folder.name)
def scenario(request):
    return request.param


def test_it_runs(scenario, tmp_path):
    """From its name to finite outputs; conservative forces conserve energy, as far as seen."""
    from ipi.scripting import read_output

    if scenario.name == TWO_MODELS:
        pytest.importorskip("so3krates_torch")
    steps = STEPS_OF_BEADS if "pimd" in scenario.name else STEPS
    command = [*HALFKICK, "run", scenario.name, "--steps", str(steps), "--threads", "1"]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / scenario.name
    values, _ = read_output(str(folder / "out.properties"))
    stride = int(root(scenario).find("output/properties").get("stride"))
    assert values["step"].tolist() == list(range(0, steps + 1, stride))
    for name, column in values.items():
        assert np.isfinite(column).all(), name
    if scenario.name in ("water_nve_conservative", "water_nve_mts"):
        assert np.ptp(values["conserved"]) / N_ATOMS < CONSERVED
    frame = ase.io.read(folder / "out.positions_0.extxyz", "0")
    start = ase.io.read(folder / "init.xyz")
    assert (frame.numbers == start.numbers).all()
    np.testing.assert_allclose(frame.cell, start.cell, atol=1e-6)
    if "pimd" not in scenario.name:
        np.testing.assert_allclose(frame.positions, start.positions, atol=1e-6)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["state"] == "finished"
    assert set(summary["evaluations"]) == {"direct", "conservative", "both"}


def root(scenario: Path) -> ElementTree.Element:
    return ElementTree.parse(scenario / "input.xml").getroot()


def test_one_stride_in_all_scenarios_of_one_model():
    """But a shorter one where springs between beads are stiff."""
    for scenario in MULTIPLE:
        expected = [1, 4] if "pimd" in scenario.name else [1, 8]
        assert json.loads(root(scenario).findtext(".//nmts")) == expected


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda folder: folder.name)
def test_the_outer_step_is_of_inner_steps_of_half_a_femtosecond(scenario):
    strides = json.loads(root(scenario).findtext(".//nmts") or "[1]")
    timestep = root(scenario).find(".//timestep")
    assert timestep.get("units") == "femtosecond"
    assert float(timestep.text) == 0.5 * np.prod(strides)


def test_addresses_are_its_own(scenario):
    """Two scenarios can run at once."""
    own = {element.text.strip() for element in root(scenario).iter("address")}
    assert len(own) == len(root(scenario).findall("ffsocket"))
    for other in SCENARIOS:
        if other != scenario:
            assert own.isdisjoint(e.text.strip() for e in root(other).iter("address"))


def test_all_start_from_the_same_water(scenario):
    text = (scenario / "init.xyz").read_text()
    assert text == (SCENARIOS[0] / "init.xyz").read_text()
    assert len(ase.io.read(scenario / "init.xyz")) == N_ATOMS


def test_the_readme_names_it(scenario):
    assert f"| `{scenario.name}` |" in (scenario.parent / "README.md").read_text()
