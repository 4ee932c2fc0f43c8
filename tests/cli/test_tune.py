"""``halfkick tune``: its estimators on known cases, and the stride it finds for the toy model."""

from __future__ import annotations

import json
import subprocess
from xml.etree import ElementTree

import numpy as np
import pytest
from ase import Atoms, units
from simulation import ENVIRONMENT, HALFKICK, Case, write

from halfkick.driver.errors import InputError
from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.ipi.mts_input import MtsInput, RunSettings
from halfkick.driver.run.job import describe
from halfkick.driver.study.tuning.result import (
    DriftPrediction,
    StrideResult,
    configurational_temperature,
    correlation_time,
    evaluate_stride,
)
from halfkick.driver.study.tuning.tune import best
from halfkick.models.base import Capabilities, ForceModel, ForceResult, Role
from halfkick.models.pair import Pair


class Wells(ForceModel):
    """Every atom in a well of its own about the origin, ``k x² / 2 + q x⁴ / 4``."""

    name = "wells"
    capabilities = Capabilities(frozenset({Role.CONSERVATIVE}))
    k, q = 8.0, 30.0

    def evaluate(self, structures, roles):
        return [{role: self.one(s.positions) for role in roles} for s in structures]

    def one(self, x):
        energy = float((0.5 * self.k * x**2 + 0.25 * self.q * x**4).sum())
        return ForceResult(energy, -self.k * x - self.q * x**3, np.zeros((3, 3)))


def canonical(kelvin, rng, n):
    """Samples of a coordinate in the well, by rejection."""
    x = rng.uniform(-1.0, 1.0, size=400 * n)
    energy = 0.5 * Wells.k * x**2 + 0.25 * Wells.q * x**4
    kept = x[rng.uniform(size=len(x)) < np.exp(-energy / (units.kB * kelvin))]
    return kept[:n]


@pytest.mark.parametrize("kelvin", [300.0, 600.0])
def test_configurational_temperature_is_that_of_the_samples(kelvin):
    rng = np.random.default_rng(0)
    pair = Pair({Role.CONSERVATIVE: Wells()})
    positions = canonical(kelvin, rng, 20 * 300).reshape(20, 100, 3)
    frames = [Atoms("H100", x) for x in positions]
    assert configurational_temperature(pair, frames) == pytest.approx(kelvin, rel=0.08)
    stretched = [Atoms("H100", 1.2 * x) for x in positions]  # the twin: not of that ensemble
    assert configurational_temperature(pair, stretched) > 1.2 * kelvin


def test_correlation_time_of_a_known_series():
    rng = np.random.default_rng(1)
    memory = 0.8
    series = np.zeros((2000, 50))
    for i in range(1, len(series)):
        series[i] = memory * series[i - 1] + rng.normal(size=50)
    expected = 2.0 * (0.5 + memory / (1.0 - memory))
    assert correlation_time(series[200:], 2.0) == pytest.approx(expected, rel=0.15)
    assert correlation_time(rng.normal(size=(2000, 50)), 2.0) == pytest.approx(1.0, rel=0.15)


def row(stride, drift, ms, inner=0.5):
    return StrideResult(inner, stride, [drift], None, ms_per_ps=ms, holds=abs(drift) < 0.5)


def test_tune_recommends_the_fastest_stride_that_holds():
    assert best([row(1, 0.0, 9.0), row(4, 0.1, 4.0), row(8, 2.0, 3.0)]).stride == 4
    lucky = [row(1, 0.0, 9.0), row(4, 2.0, 4.0), row(8, 0.0, 3.0)]
    assert best(lucky).stride == 1  # one that holds by chance beyond one that does not
    finer = [*lucky, row(4, 0.0, 8.0, inner=0.25)]
    assert (best(finer).inner_fs, best(finer).stride) == (0.25, 4)
    assert best([row(1, 0.9, 1.0)]) is None


def test_tune_rejects_a_run_that_ended_early():
    found = evaluate_stride(
        0.5, 8, [None], Pair({}), frames=0, limit=0.5, foreseen=DriftPrediction(9.0, 3.0)
    )
    assert not found.holds and found.rms_drift == float("inf")


@pytest.fixture
def source(tmp_path):
    return MtsInput(IpiInput.read(write(tmp_path, Case())))


def test_variant_changes_what_it_says(source, tmp_path):
    assert (source.inner_fs, source.stride) == (0.5, 4)
    assert source.write(RunSettings("mts", 0.25, 0.01, stride=8), tmp_path / "a").is_file()
    job = describe(tmp_path / "a" / "input.xml")
    assert (job.inner_steps, job.total_steps, len(job.sockets)) == (8, 5, 2)
    svr = RunSettings("direct", 0.5, 0.01, ensemble="svr", tau_fs=10.0, seed=7)
    root = ElementTree.parse(source.write(svr, tmp_path / "b")).getroot()
    (field,) = root.findall("ffsocket")
    assert "energy: model" not in field.findtext("parameters")
    nve = source.write(RunSettings("direct", 0.5, 0.01), tmp_path / "c")
    (shown,) = ElementTree.parse(nve).getroot().findall("ffsocket")
    assert "energy: model" in shown.findtext("parameters")
    assert f"template: {tmp_path}/init.xyz" in field.findtext("parameters")
    assert [f.get("forcefield") for f in root.iter("force")] == ["direct"]
    assert root.find(".//mts_weights") is None and root.find(".//nmts") is None
    assert root.find(".//dynamics").get("mode") == "nvt"
    assert float(root.findtext(".//thermostat/tau")) == 10.0
    assert root.findtext("prng/seed").strip() == "7"


def test_tune_recommended_input_differs_in_steps_alone(source):
    before = ElementTree.parse(source.source.path).getroot()
    root = ElementTree.fromstring(source.recommended(0.25, 6).text)
    assert float(root.findtext(".//timestep")) == 1.5
    assert root.findtext(".//nmts").strip() == "[1, 6]"
    root.find(".//timestep").text = before.findtext(".//timestep")
    root.find(".//nmts").text = before.findtext(".//nmts")
    assert ElementTree.tostring(root) == ElementTree.tostring(before)


@pytest.mark.parametrize("case", [Case(strides=(1, 2, 2)), Case(roles=("direct",), strides=(4,))])
def test_tune_refuses_other_inputs(tmp_path, case):
    with pytest.raises(InputError, match="expected"):
        MtsInput(IpiInput.read(write(tmp_path, case)))


def test_tune_command_finds_the_longest_stride(tmp_path):
    """At 16 fs the toy model's gap pumps its bonds, as linear theory foresees; at 2 fs it holds."""
    write(tmp_path, Case(ensemble="svr"))
    done = subprocess.run(
        [*HALFKICK, "tune", "input.xml", "--strides", "4", "--strides", "32", "--seeds", "1",
         "--ps", "0.12", "--equilibrate", "0.06"],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    short, long = json.loads((tmp_path / "tune" / "tune.json").read_text())
    assert short["holds"] and not long["holds"]
    assert abs(long["drifts"][0]) > 50 * abs(short["drifts"][0])
    assert short["foreseen"]["growth_per_ps"] < 1.0 < long["foreseen"]["growth_per_ps"]
    for row in (short, long):  # one run each: of a random walk
        assert 0.15 < abs(row["drifts"][0]) / row["foreseen"]["rms_drift"] < 5.0, row
    assert 0.4 < short["configurational_K"] / np.mean(list(short["temperatures"].values())) < 2.5
    assert short["gap_meV_per_A"] > 10.0
    assert (tmp_path / "tune" / "tune.png").stat().st_size > 10_000
    job = describe(tmp_path / "tune" / "recommended.xml")
    assert job.inner_steps == 4
    assert "M = 4" in done.stdout
