"""``halfkick compare`` draws the runs it is given."""

from __future__ import annotations

import subprocess

import matplotlib.image
import numpy as np
from simulation import ENVIRONMENT, HALFKICK, Case, simulate

from halfkick.driver.run.launch import copy_scenario


def compare(folder, *runs):
    return subprocess.run(
        [*HALFKICK, "compare", *runs],
        cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_compare_draws_both_runs(tmp_path):
    for name, case in (("mts", Case(steps=10)), ("direct", Case(roles=("direct",), strides=(1,)))):
        (tmp_path / name).mkdir()
        simulate(tmp_path / name, case)
    both = compare(tmp_path, "mts", "direct", "--out", "both.png")
    one = compare(tmp_path, "mts/input.xml", "--out", "one.png")
    assert (both.returncode, one.returncode) == (0, 0), both.stderr + one.stderr
    pictures = [matplotlib.image.imread(tmp_path / f"{name}.png") for name in ("both", "one")]
    assert pictures[0].shape == pictures[1].shape
    assert np.abs(pictures[0] - pictures[1]).max() > 0.5


def test_compare_draws_folders_of_one_name(tmp_path):
    for place, case in (("a", Case(steps=10)), ("b", Case(roles=("direct",), strides=(1,)))):
        (tmp_path / place / "run").mkdir(parents=True)
        simulate(tmp_path / place / "run", case)
    both = compare(tmp_path, "a/run", "b/run", "--out", "both.png")
    one = compare(tmp_path, "b/run", "--out", "one.png")
    assert (both.returncode, one.returncode) == (0, 0), both.stderr + one.stderr
    pictures = [matplotlib.image.imread(tmp_path / f"{name}.png") for name in ("both", "one")]
    assert np.abs(pictures[0] - pictures[1]).max() > 0.5


def test_compare_refuses_a_run_that_was_not_started(tmp_path):
    copy_scenario("water_nve_mts", tmp_path)
    done = compare(tmp_path, "water_nve_mts")
    assert done.returncode == 2 and not (tmp_path / "compare.png").exists()
    assert "expected conserved or temperature in a properties file" in done.stderr


def test_compare_refuses_what_is_no_run(tmp_path):
    done = compare(tmp_path, "nowhere")
    assert done.returncode == 2
    assert "expected an i-PI input file" in done.stderr
    assert "Traceback" not in done.stderr
