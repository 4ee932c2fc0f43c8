"""A molecule on a slab that is periodic in two directions, in all three ways through i-PI."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import surface
from simulation import ENVIRONMENT, HALFKICK

from halfkick.driver.errors import InputError
from halfkick.driver.run.processes import Machine
from halfkick.driver.run.runner import quiet_runner
from halfkick.driver.study.analysis.forces import both_forces
from halfkick.driver.study.validation.subject import own_system
from halfkick.driver.study.validation.validate import (
    ValidationOptions,
    html,
    results,
    simulate,
    subject_of,
    to_json,
)
from halfkick.driver.study.validation.verdicts import verdicts
from halfkick.models.base import Role
from halfkick.models.pair import Pair

OPEN = (True, True, False)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """``halfkick validate`` of a slab at constant energy: its subject, folders and reports."""
    folder = tmp_path_factory.mktemp("surface")
    path = surface.write(folder / "own", surface.nitrogen_on_copper(pbc=OPEN))
    plan = ValidationOptions(
        length_ps=0.1, equilibrate_ps=0.01, optimise_steps=0, ensembles=("nve",), input=path
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(surface.__file__).parent))
        subject = subject_of(plan, folder / "out")
        run = quiet_runner(Machine(threads=1))
        places = simulate(plan, subject, folder / "out", run, str)
    return plan, subject, places, results(plan, places)


def test_validate_takes_all_from_the_input(study):
    _, subject, places, _ = study
    assert subject.species == ("Cu", "N") and not subject.is_water
    assert (subject.source.inner_fs, subject.source.stride) == (0.5, 4)
    assert set(subject.models.values()) == {"python:surface:surface"}
    assert set(places) == {"nve_conservative", "nve_direct", "nve_mts"}
    text = (places["nve_mts"] / "input.xml").read_text()
    assert "temperature(Cu)" in text and "temperature(N)" in text


def test_surface_keeps_its_energy_with_mts_and_not_with_direct_forces(study):
    _, _, _, reports = study
    ranges = {}
    for analysis, forces in zip(reports["nve"].analyses, ("slow", "direct", "mts"), strict=True):
        ranges[forces] = np.ptp(analysis.runs[0].columns["conserved"])
    assert ranges["slow"] < 0.02 and ranges["mts"] < 0.02  # eV, of 14 atoms
    assert ranges["direct"] > 5.0 * ranges["mts"]


def test_surface_is_analysed_as_one(study):
    """With its periodicity, which i-PI's files do not tell; by pairs, without molecules."""
    plan, subject, _, reports = study
    report = reports["nve"]
    first = report.analyses[0].runs[0].positions()[0]
    assert tuple(first.pbc) == OPEN
    curves = {(c.group, c.name) for c in report.analyses[0].curves}
    assert {("density profile", "Cu"), ("density profile", "N"), ("bond length", "N-N"),
            ("pair distances", "Cu-N")} <= curves  # fmt: skip
    assert "radial distribution" not in {group for group, _ in curves}
    assert {"temperature(Cu)", "temperature(N)", "bond length(N-N)"} <= set(report.names)
    assert not {"temperature, rotation", "diffusion(N)"} & set(report.names)
    found = verdicts(reports, {})
    claims = " ".join(v.claim for v in found)
    assert "nve: direct forces alone drift" in claims
    page = html(plan, subject, reports, found, [])
    assert str(plan.input) in page and "density profile Cu" in page
    assert json.loads(to_json(plan, reports, found, []))["plan"]["input"] == str(plan.input)


def test_surface_forces_of_frames_are_those_of_its_periodicity():
    """Of a cell so low that images across the open face would pull: the twin differs."""
    low = surface.nitrogen_on_copper(vacuum=1.5, pbc=OPEN)
    closed = low.copy()
    closed.pbc = True
    pair = Pair({role: surface.surface() for role in Role})
    open_forces, closed_forces = (
        both_forces(pair, [a])[Role.CONSERVATIVE][0] for a in (low, closed)
    )
    assert np.abs(open_forces - closed_forces).max() > 0.1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nbeads='1'", "nbeads='4'", "expected nbeads='1'"),
        ("<temperature units='kelvin'> 300 </temperature>", "", "expected a <temperature>"),
        ("role: direct", "role: conservative", "expected a direct and a conservative"),
        ("[1, 4]", "[4]", r"with <nmts> \[1, M\]"),
    ],
)
def test_validate_refuses_inputs_of_another_kind(tmp_path, old, new, message):
    path = surface.write(tmp_path, surface.nitrogen_on_copper())
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message):
        own_system(path)


def test_validate_command_wants_no_model_beside_an_input(tmp_path):
    path = surface.write(tmp_path, surface.nitrogen_on_copper())
    done = subprocess.run(
        [*HALFKICK, "validate", str(path), "--model", "water"],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2 and "expected no --model" in done.stderr
