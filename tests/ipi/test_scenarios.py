"""Every input that ships runs through i-PI and the driver; its numbers are read from itself."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.data import atomic_masses
from simulation import ENVIRONMENT, HALFKICK

FOLDERS = sorted(path.parent for path in Path(__file__).parents[2].glob("ipi_inputs/*/input.xml"))
STEPS = 4
STEPS_OF_BEADS = 1  # several times as much work
CONSERVED = 0.05  # of the kinetic energy; with O-H bonds, half of it is the integrator's own
INNER_STEP_OF_HYDROGEN = 0.5  # fs


@dataclass(frozen=True)
class Scenario:
    """What an input says of itself.

    Attributes:
        models: names of the models of all force fields, with their options.
        roles: what the force fields are served.
        nmts: inner steps of each level of multiple time stepping.
        timestep_fs: the outermost step.
        stride: outer steps from one row of the properties to the next.
    """

    folder: Path
    models: frozenset[str]
    roles: frozenset[str]
    beads: int
    nmts: tuple[int, ...]
    timestep_fs: float
    ensemble: str
    stride: int
    properties: str
    positions: str
    start: str

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def inner_step_fs(self) -> float:
        return self.timestep_fs / float(np.prod(self.nmts))

    def structure(self, folder: Path | None = None) -> Atoms:
        return ase.io.read((folder or self.folder) / self.start)


def read(folder: Path) -> Scenario:
    root = xml(folder)
    parameters = [element.findtext("parameters") for element in root.findall("ffsocket")]
    prefix = root.find("output").get("prefix")
    properties = root.find("output/properties")
    positions = next(t for t in root.findall("output/trajectory") if "positions" in t.text)
    timestep = root.find(".//timestep")
    assert timestep.get("units") == "femtosecond"
    return Scenario(
        folder,
        frozenset(re.search(r"model: *([^,} ]+)", text)[1] for text in parameters),
        frozenset(re.search(r"role: *(\w+)", text)[1] for text in parameters),
        int(root.find(".//initialize").get("nbeads")),
        tuple(json.loads(root.findtext(".//nmts") or "[1]")),
        float(timestep.text),
        root.find(".//dynamics").get("mode"),
        int(properties.get("stride", "1")),
        f"{prefix}.{properties.get('filename')}",
        f"{prefix}.{positions.get('filename')}",
        root.findtext(".//initialize/file").strip(),
    )


def xml(folder: Path) -> ElementTree.Element:
    return ElementTree.parse(folder / "input.xml").getroot()


def addresses(folder: Path) -> list[str]:
    return [element.text.strip() for element in xml(folder).iter("address")]


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def scenario(request):
    return read(request.param)


def test_scenario_runs_to_finite_outputs_from_its_start(scenario, tmp_path):
    """Copied and run by its name; conservative forces conserve energy, as far as seen."""
    from ipi.scripting import read_output

    steps = STEPS_OF_BEADS if scenario.beads > 1 else max(STEPS, scenario.stride)
    command = [*HALFKICK, "run", scenario.name, "--steps", str(steps), "--threads", "1"]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )
    if 'pip install "halfkick[' in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    folder = tmp_path / scenario.name
    assert not [path for path in folder.iterdir() if path.is_symlink()]
    values, _ = read_output(str(folder / scenario.properties))
    assert values["step"].tolist() == list(range(0, steps + 1, scenario.stride))
    for name, column in values.items():
        assert np.isfinite(column).all(), name
    start = scenario.structure(folder)
    if scenario.ensemble == "nve" and "conservative" in scenario.roles:
        assert np.ptp(values["conserved"]) < CONSERVED * values["kinetic_md"].mean()
    frame = ase.io.read(min(folder.glob(f"{scenario.positions}_*")), "0")
    assert (frame.numbers == start.numbers).all()
    np.testing.assert_allclose(frame.cell, start.cell, atol=1e-6)
    if scenario.beads == 1:
        np.testing.assert_allclose(frame.positions, start.positions, atol=1e-6)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["state"] == "finished"
    assert set(summary["evaluations"]) == {"direct", "conservative", "both"}


@pytest.mark.slow
def test_scenario_of_beads_goes_on_from_its_restart(scenario, tmp_path):
    if scenario.beads == 1:
        pytest.skip("one bead")
    for words in (["--steps", "1"], ["--steps", "2", "--restart"]):
        command = [*HALFKICK, "run", scenario.name, *words, "--threads", "1"]
        subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, check=True, timeout=300)
    rows = (tmp_path / scenario.name / scenario.properties).read_text().splitlines()
    steps = [float(row.split()[0]) for row in rows if not row.startswith("#")]
    assert steps == [0, 1, 2]


def test_scenarios_of_one_model_have_one_inner_step_and_stride():
    """But a shorter stride where springs between beads are stiff."""
    scenarios = [read(folder) for folder in FOLDERS]
    for models in {scenario.models for scenario in scenarios}:
        alike = [scenario for scenario in scenarios if scenario.models == models]
        assert len({scenario.inner_step_fs for scenario in alike}) == 1, models
        classical, quantum = (
            {s.nmts for s in alike if s.nmts != (1,) and (s.beads > 1) is beads}
            for beads in (False, True)
        )
        assert len(classical) <= 1 and len(quantum) <= 1, models
        for one, other in zip(classical, quantum, strict=False):
            assert np.prod(other) < np.prod(one), models


def test_scenario_has_an_inner_step_for_its_lightest_atom(scenario):
    """At most 0.5 fs with hydrogen, and longer by the root of the mass without it."""
    lightest = atomic_masses[scenario.structure().numbers].min()
    longest = INNER_STEP_OF_HYDROGEN * np.sqrt(lightest / atomic_masses[1])
    assert 0.2 * longest < scenario.inner_step_fs <= longest


def test_scenario_has_addresses_of_its_own(scenario):
    """Two scenarios can run at once."""
    own = addresses(scenario.folder)
    assert len(set(own)) == len(own) == len(xml(scenario.folder).findall("ffsocket"))
    for other in FOLDERS:
        if other != scenario.folder:
            assert not set(own) & set(addresses(other)), other.name


def test_scenario_has_one_template_that_is_its_start(scenario):
    """In each force field, and all that is needed lies in the folder."""
    for field in xml(scenario.folder).findall("ffsocket"):
        template = re.search(r"template: *([^,} ]+)", field.findtext("parameters"))[1]
        atoms = ase.io.read(scenario.folder / template)
        assert (atoms.numbers == scenario.structure().numbers).all()
        assert Path(template).name == template
