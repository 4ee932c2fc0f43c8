"""The comparison runs everything that it compares, and computes what it says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import ase.io
import exported
import numpy as np
import pytest
import toy
from simulation import ENVIRONMENT, HALFKICK

from halfkick.driver.errors import InputError
from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.study.bench.inputs import Base, Setup, repeated
from halfkick.driver.study.bench.measure import setups
from halfkick.driver.study.bench.ratios import compute_ratios, shares
from halfkick.driver.study.bench.results import BenchOptions, BenchResults

SCENARIO = Path(__file__).parents[2] / "ipi_inputs" / "water_nve_mts"
ALONE = "model alone, {}, 192 atoms x {}"


def test_bench_setups_follow_from_the_options():
    options = BenchOptions(beads=(1, 8), atoms=(192, 384))
    assert setups(options, 192) == [
        Setup("conservative", 1, 192),
        Setup("direct", 1, 192),
        Setup("mts", 1, 192),
        Setup("mts", 8, 192),
        Setup("mts", 1, 384),
    ]
    assert setups(BenchOptions(modes=("direct",), beads=(4,)), 64) == [Setup("direct", 4, 64)]


def test_bench_ratios_are_of_what_was_measured():
    setup = Setup("mts", 2, 192)
    times = {
        ALONE.format("direct", 1): [10.0],
        ALONE.format("direct", 2): [8.0],
        ALONE.format("both in one pass", 1): [40.0],
        ALONE.format("both in one pass", 2): [50.0],
        "neighbour lists, 192 atoms": [0.5],
        "halfkick": [212.0] * 39 + [700.0],
        "ffdirect": [424.0],
        "costless": [12.0],
        "i-PI": [8.0],
        "driver alone, 192 atoms x 1": [0.1],
    }
    results = BenchResults(BenchOptions(beads=(2,)), 8, {}, {setup: times}, {})
    found = compute_ratios(results)
    alone = 2 * (7 * 8.0 + 40.0)
    assert found["mts, 2 beads, 192 atoms: halfkick / model alone"] == pytest.approx(212.0 / alone)
    assert found["mts, 2 beads, 192 atoms: halfkick / ffdirect"] == 0.5
    assert found["mts, 2 beads, 192 atoms: stalls in 20 steps"] == 1
    assert found["driver alone, ms for a structure, 192 atoms x 1"] == 0.1
    parts = shares(results, setup)
    assert parts == {
        "model": alone / 8 - 1.0,
        "neighbour lists": 1.0,
        "driver and sockets": 0.5,
        "i-PI": 1.0,
    }


@pytest.mark.parametrize("mode", ["conservative", "direct", "mts"])
def test_bench_backends_run_the_same_simulation(tmp_path, mode):
    from xml.etree import ElementTree

    base = Base(None, 8)
    roots = []
    for way in (None, "metatomic water.pt"):
        folder = tmp_path / str(way)
        folder.mkdir()
        path = base.write(folder, Setup(mode, 4, 384), way)
        roots.append(ElementTree.parse(path).getroot())
    for root in roots:
        timestep = float(root.findtext(".//timestep"))
        assert timestep == pytest.approx(4.0 if mode == "mts" else 0.5)
        assert root.find(".//initialize").get("nbeads") == "4"
        assert [f.findtext("batch_size").strip() for f in root if f.tag[:2] == "ff"] == ["4"] * (
            2 if mode == "mts" else 1
        )
        assert len(root.findall(".//force")) == (2 if mode == "mts" else 1)
        assert (root.find(".//mts_weights") is not None) == (mode == "mts")
    assert len(ase.io.read(tmp_path / "None" / "init.xyz")) == 384
    written = IpiInput.read(tmp_path / "None" / "input.xml")
    assert written.inner_steps == (8 if mode == "mts" else 1)


def test_bench_repeats_cells_near_a_cube():
    atoms = toy.atoms()
    assert np.allclose(repeated(atoms, 8 * 27).cell.lengths(), 2 * atoms.cell.lengths())
    with pytest.raises(InputError, match="expected atoms in multiples of 27"):
        repeated(atoms, 100)


def test_bench_refuses_inputs_that_cannot_be_compared(tmp_path):
    with pytest.raises(InputError, match="a direct and a conservative <ffsocket> of one model"):
        Base(SCENARIO.parent / "water_nve_direct" / "input.xml", None)


def test_bench_command_compares_all_backends(tmp_path):
    """All ways, on a small model; the table, the figures and the picture."""
    exported.export(tmp_path / "soft.pt", force_name="non_conservative_forces")
    ase.io.write(tmp_path / "init.xyz", toy.atoms())
    text = (SCENARIO / "input.xml").read_text().replace("model: water", "model: soft.pt")
    (tmp_path / "input.xml").write_text(text)
    done = subprocess.run(
        [*HALFKICK, "bench", "input.xml", "--quick", "--modes", "mts", "--threads", "1",
         "--in-a-row", "25"],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mts, 1 beads" in done.stderr and "warming up" in done.stderr  # no terminal: by line
    assert (tmp_path / "bench.png").stat().st_size > 10_000
    found = json.loads((tmp_path / "bench.json").read_text())
    (group,) = found["times"]
    assert {"halfkick", "ffdirect", "two drivers", "costless", "i-PI"} <= group["ms"].keys()
    assert all(min(times) > 0.0 for times in group["ms"].values())
    ratio = np.median(group["ms"]["halfkick"]) / np.median(group["ms"]["ffdirect"])
    assert found["figures"]["mts, 1 bead, 27 atoms: halfkick / ffdirect"] == pytest.approx(ratio)
    in_a_row = len(group["ms"]["halfkick, in a row"])
    assert in_a_row >= 25
    for what in ("driver alone", "bare client"):
        assert found["figures"][f"{what}, ms for a structure, 27 atoms x 32"] > 0.0
    assert any(f"stalls in {in_a_row - 20} steps" in name for name in found["figures"])
    assert "27 atoms: halfkick" in done.stdout
