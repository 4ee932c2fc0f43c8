"""A restarted run is the undisturbed one: to the last bit where i-PI's RESTART allows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from running import run
from simulation import Case, properties, simulate, write

# with its centre of mass held still, i-PI takes the mean momentum away once more at the start
FIXCOM = "<motion mode='dynamics'>", "<motion mode='dynamics'> <fixcom> False </fixcom>"


def rows(folder: Path) -> list[str]:
    lines = (folder / "simulation.out").read_text().split("\n")
    return [line for line in lines if not line.startswith("#")]


def folders(tmp_path: Path, case: Case, edit: tuple[str, str]) -> tuple[Path, Path]:
    """One run of 24 steps, and one interrupted after 11."""
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    whole.mkdir()
    parted.mkdir()
    simulate(whole, case, edit=lambda xml: xml.replace(*edit))
    xml = write(parted, case)
    xml.write_text(xml.read_text().replace(*edit))
    assert run(parted, "--steps", "11")[0] == 0
    assert run(parted, "--restart", "--steps", "24")[0] == 0
    return whole, parted


@pytest.mark.parametrize("ensemble", ["nve", "svr", "npt"])
def test_restarted_run_is_the_same_to_the_last_bit(tmp_path, ensemble):
    whole, parted = folders(tmp_path, Case(ensemble, strides=(1, 3), steps=24), FIXCOM)
    assert rows(whole) == rows(parted)


def test_restarted_ring_polymer_is_the_same_to_the_last_digits(tmp_path):
    """i-PI moves normal modes and stores beads: the way there and back rounds."""
    case = Case("pile", strides=(1, 3), steps=24, beads=3, batch=3)
    whole, parted = folders(tmp_path, case, FIXCOM)
    one, two = properties(whole), properties(parted)
    assert len(rows(whole)) == len(rows(parted))
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-11)
