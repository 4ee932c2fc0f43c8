"""``halfkick compare`` draws the runs it is given."""

from __future__ import annotations

from shutil import copytree

import matplotlib.image
import numpy as np
import pytest
from commands import halfkick
from simulation import Case, simulate

from halfkick.driver.run.launch import copy_scenario


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A short run with corrections and one without, and a folder whose name is another's."""
    folder = tmp_path_factory.mktemp("runs")
    direct = Case(roles=("direct",), strides=(1,), steps=10)
    for name, case in (("mts", Case(steps=10)), ("direct", direct)):
        (folder / name).mkdir()
        simulate(folder / name, case)
    copytree(folder / "mts", folder / "other" / "direct")
    return folder


@pytest.mark.parametrize("other", ["mts", "other/direct"], ids=["two names", "one name"])
def test_compare_draws_both_runs(runs, other):
    both = halfkick(runs, "compare", other, "direct", "--out", "both.png")
    one = halfkick(runs, "compare", "direct/input.xml", "--out", "one.png")
    assert (both.returncode, one.returncode) == (0, 0), both.stderr + one.stderr
    pictures = [matplotlib.image.imread(runs / f"{name}.png") for name in ("both", "one")]
    assert pictures[0].shape == pictures[1].shape
    assert np.abs(pictures[0] - pictures[1]).max() > 0.5


def test_compare_refuses_a_run_that_was_not_started(tmp_path):
    copy_scenario("water_nve_mts", tmp_path)
    done = halfkick(tmp_path, "compare", "water_nve_mts")
    assert done.returncode == 2 and not (tmp_path / "compare.png").exists()
    assert "expected conserved or temperature in a properties file" in done.stderr


def test_compare_refuses_what_is_no_run(tmp_path):
    done = halfkick(tmp_path, "compare", "nowhere")
    assert done.returncode == 2
    assert "expected an i-PI input file" in done.stderr
    assert "Traceback" not in done.stderr
