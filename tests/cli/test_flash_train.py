"""From a run at constant energy to a network, and to a run with it."""

from __future__ import annotations

import json

import pytest
import springs
from commands import halfkick
from running import run, summary
from simulation import properties

pytestmark = [pytest.mark.ipi, pytest.mark.extra("metatrain")]

LIMITS = ", rescale: species, max_error: 0.5"  # of a short training


def test_flash_train_makes_a_network_that_runs(tmp_path):
    springs.write_dynamics(tmp_path / "nve", seed=1, steps=80)
    assert run(tmp_path / "nve")[0] == 0
    options = "--stride 8 --every 2 --size xs --cutoff 2.5 --epochs 12 --batch-size 6"
    done = halfkick(tmp_path, "flash", "train", "nve", *options.split(), "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "138 pairs, 276 steps" in done.stdout
    card = json.loads((tmp_path / "flash.card.json").read_text())
    assert card["pairs"] == {"train": 138, "test": 16}
    assert card["command"].startswith("halfkick flash train nve --stride 8")
    for of_species in card["errors"].values():
        for error in of_species.values():
            assert error["rmse"] < 0.3 * error["size"]
    springs.write(tmp_path / "nvt", steps=12, ensemble="nvt", more=LIMITS)
    for name in ("flash.pt", "flash.card.json"):
        (tmp_path / name).rename(tmp_path / "nvt" / name)
    code, _, err = run(tmp_path / "nvt")
    assert code == 0, err
    told = summary(tmp_path / "nvt")["stepper"]
    assert told["steps"] == 12 and sum(told["refused"].values()) < 6
    ran = properties(tmp_path / "nvt")
    assert abs(ran["conserved"] - ran["conserved"][0]).max() < 0.01 * ran["kinetic_md"].mean()

    again = halfkick(tmp_path, "flash", "train", "nvt", "--stride", "8")
    assert again.returncode == 2
    assert "at constant energy (mode='nve')" in again.stderr
