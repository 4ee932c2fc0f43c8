"""``halfkick validate --quantum``: what it runs, how it judges, on a model with a known fault."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import ase.io
import numpy as np
import pytest
import wells
from ase import Atoms
from commands import halfkick

from halfkick.driver.errors import InputError
from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.run.processes import Machine
from halfkick.driver.run.runner import quiet_runner
from halfkick.driver.study.analysis.collect import Analysis
from halfkick.driver.study.analysis.observables import Curve, Quantity, Scalar
from halfkick.driver.study.analysis.report import AnalysisReport
from halfkick.driver.study.analysis.run_data import open_run
from halfkick.driver.study.validation import quantum
from halfkick.driver.study.validation.quantum import (
    WAYS,
    QuantumOptions,
    results,
    simulate,
    ways_of,
)
from halfkick.driver.study.validation.quantum_report import html, verdicts
from halfkick.driver.study.validation.subject import own_system


def write_input(folder: Path, **changes: str) -> Path:
    """The scenario of 8 beads, on atoms in wells, which direct forces drive round."""
    text = (files("halfkick.ipi_inputs") / "water_pimd_mts" / "input.xml").read_text()
    text = text.replace("model: water", "model: python:wells:wells?curl=1.0")
    for old, new in changes.items():
        text = re.sub(f"{old}='.*?'", f"{old}='{new}'", text)
    atoms = Atoms("OH" * 16, [[2.0 * i, 0, 0] for i in range(32)], cell=[80.0] * 3)
    ase.io.write(folder / "init.xyz", atoms)
    (folder / "input.xml").write_text(text)
    return folder / "input.xml"


def test_ways_differ_in_forces_beads_and_thermostat_alone(tmp_path):
    subject = own_system(write_input(tmp_path), quantum=True)
    plan = QuantumOptions(converged=32, input=tmp_path)
    made = ways_of(plan, subject)
    assert [*made] == [*WAYS, "pile_converged"]
    assert {m.systems[0].beads for name, m in made.items() if name in WAYS} == {8}
    assert made["pile_converged"].systems[0].beads == 32
    for name, m in made.items():
        mts = "mts" in name
        assert (m.timestep_fs, m.nmts) == ((2.0, (1, 4)) if mts else (0.5, ()))
        fields = {f.forcefield: f for f in m.systems[0].forces}
        assert len(m.systems[0].forces) == (3 if "rpc" in name else 2 if mts else 1)
        assert len(fields) == 1 + mts
        for force in m.systems[0].forces:
            outer = force.mts_weights[0] != 0.0 and mts and force.mts_weights[-1] == 0.0
            assert force.beads == (2 if "rpc" in name and outer else 0)
        expected = "nm_gle" if name.startswith("piglet") else "pile_l"
        assert m.systems[0].ensemble.thermostat.mode == expected
        without = m.without_energy
        assert without == ("direct" if "rpc" in name else None), name


def test_ways_under_piglet_are_those_that_its_matrices_fit(tmp_path):
    subject = own_system(write_input(tmp_path, nbeads="6"), quantum=True)
    made = ways_of(QuantumOptions(input=tmp_path), subject)
    assert [*made] == [name for name in WAYS if name.startswith("pile_")]


def test_own_coloured_noise_is_kept(tmp_path):
    write_input(tmp_path, nbeads="4")
    gle = """<thermostat mode='nm_gle'> <A shape='(4, 1, 1)'> [1, 1, 1, 1] </A>
      <C shape='(4, 1, 1)' units='kelvin'> [1200, 1300, 1400, 1300] </C> </thermostat>"""
    text = (tmp_path / "input.xml").read_text()
    text = re.sub("(?s)<thermostat.*</thermostat>", gle, text)
    (tmp_path / "input.xml").write_text(text)
    made = ways_of(QuantumOptions(input=tmp_path), own_system(tmp_path, quantum=True))
    assert made["piglet_mts"].systems[0].quantum_thermostat == "nm_gle"
    assert made["pile_mts"].systems[0].quantum_thermostat is None
    assert "1400" in made["piglet_mts"].text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["water_nve_mts", "--quantum"], "expected nbeads above 1"),
        (["input.xml"], "quantum nuclei with --quantum"),
        (["input.xml", "--quantum", "--contraction", "8"], "fewer than 8 beads"),
        (["--quantum", "--way", "fast"], "expected --way pile_conservative"),
        (["--quantum", "--ensemble", "nve"], "choose by --way"),
        (["--way", "pile_mts"], "expected --quantum"),
    ],
)
def test_validate_of_quantum_nuclei_refuses_what_cannot_be(tmp_path, words, message):
    write_input(tmp_path)
    if words[0].startswith("water"):
        text = (files("halfkick.ipi_inputs") / words[0] / "input.xml").read_text()
        (tmp_path / "one.xml").write_text(text)
        words = ["one.xml", *words[1:]]
    done = halfkick(tmp_path, "validate", *words)
    assert done.returncode == 2, done.stdout
    assert message in " ".join(done.stderr.split()) and len(done.stderr.splitlines()) <= 2


def analysis(label, kinetic=100.0, radius=0.2, drift=0.0, shift=0.0, error=0.5):
    """A run of one way, as far as verdicts look at it."""
    scalars = [
        Scalar("kinetic energy(H)", "meV/atom", kinetic, error, Quantity.KINETIC_ENERGY, "H"),
        Scalar("radius of gyration(H)", "Å", radius, 0.001, Quantity.GYRATION, "H"),
        Scalar("drift", "meV/atom/ps", drift, 0.1, Quantity.DRIFT),
    ]
    x = np.linspace(0, 5, 50)
    y = np.random.default_rng(len(label)).normal(scale=0.1, size=50) + shift
    curves = [Curve("radial distribution", "H-H", "", "", x, y, np.full(50, 0.1))]
    return Analysis(label, [], scalars, curves)


TWIN, DIRECT = analysis("pile_conservative"), analysis("pile_direct", drift=20.0)


def failed(*others):
    judged = verdicts({"pile": AnalysisReport([TWIN, *others])})
    return [v.claim for v in judged if not v.holds]


def test_verdicts_hold_for_equals():
    assert failed(analysis("pile_mts", 100.5, 0.2005, 0.05), DIRECT) == []


@pytest.mark.parametrize(
    ("other", "claim"),
    [
        (analysis("pile_mts", kinetic=102.0), "kinetic energy(H) is that of"),
        (analysis("pile_mts", radius=0.205), "radius of gyration(H) is that of"),
        (analysis("pile_mts", drift=0.5), "drifts as conservative"),
        (analysis("pile_mts", shift=0.4), "radial distribution H-H is that of"),
        (analysis("pile_mts", error=2.0), "known to 1.5%"),
        (analysis("pile_direct", drift=0.2), "runs away"),
    ],
)
def test_verdicts_fail_where_they_should(other, claim):
    found = failed(other)
    assert len(found) == 1 and claim in found[0]


RUN = ("pile_conservative", "pile_direct", "piglet_conservative", "piglet_mts_rpc")


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    """Four ways for 0.25 ps, with frames, states and thermostat as of a longer run."""
    folder = tmp_path_factory.mktemp("quantum")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(wells.__file__).parent))
        patch.setattr(quantum, "PILE_FS", 10.0)
        patch.setattr(quantum, "FRAMES_FS", 8.0)
        patch.setattr(quantum, "STATE_FS", 40.0)
        subject = own_system(write_input(folder), quantum=True)
        plan, said = QuantumOptions(0.25, 0.02, ways=RUN, input=folder), []
        simulate(plan, subject, folder / "out", quiet_runner(Machine(threads=1)), said.append)
        yield plan, subject, folder / "out", said


def test_validate_compares_path_integrals_with_their_twins(validated):
    plan, subject, out, said = validated
    assert said == ["equilibration", *RUN]
    reports = results(plan, out)
    labels = {name: [a.label for a in report.analyses] for name, report in reports.items()}
    assert labels == {"pile": [*RUN[:2]], "piglet": [*RUN[2:]]}
    judged = verdicts(reports)
    (alone,) = (v for v in judged if "runs away" in v.claim)
    assert alone.holds, alone.found
    equal = [v for v in judged if "kinetic energy" in v.claim and "is that of" in v.claim]
    assert len(equal) == 2 and all(v.found.endswith("σ") for v in equal)
    assert not any("drifts as" in v.claim for v in judged)  # a contracted one has no energy
    assert sum("centroids are at the target" in v.claim for v in judged) == 2
    shown = html(plan, subject, reports, judged)
    assert shown.count("data:image/png") >= 4 and "under contraction" in shown


def test_validate_of_quantum_nuclei_goes_on_where_it_was(validated, tmp_path):
    """Interrupted, killed and finished runs: none is done twice, none is lost."""
    plan, subject, out, _ = validated
    name = "piglet_mts_rpc"
    whole = open_run(out / name).columns
    for file in (out / name).glob("summary.json"):
        file.unlink()
    rows = (out / name / "out.properties").read_text().splitlines(keepends=True)
    state = IpiInput.read_state(out / name / "out.checkpoint").step
    assert 0 < state < whole["step"][-1]
    (out / name / "RESTART").unlink()
    (out / name / "out.properties").write_text("".join(rows[:-1]))  # killed in the last step
    before = {p: p.stat().st_mtime_ns for p in out.glob("*/summary.json")}
    simulate(plan, subject, out, quiet_runner(Machine(threads=1), resume=True), lambda _: None)
    again = open_run(out / name).columns
    np.testing.assert_array_equal(again["step"], whole["step"])
    np.testing.assert_allclose(again["potential"], whole["potential"], rtol=1e-7)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert json.loads((out / name / "summary.json").read_text())["state"] == "finished"


def test_ways_that_are_not_known_are_refused():
    with pytest.raises(InputError, match="expected --way"):
        QuantumOptions(ways=("pile_converged",))
    assert QuantumOptions(ways=("pile_converged",), converged=32).ways
