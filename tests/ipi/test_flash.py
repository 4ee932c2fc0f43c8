"""FlashMD through real i-PI: a network that knows the motion, spoiled or not."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import Popen

import ase.io
import ase.units
import numpy as np
import propagator
import pytest
import springs
from commands import halfkick
from running import assert_nothing_left, run, summary
from simulation import HALFKICK, PROMPT_IPI, properties, start

from halfkick.driver.ipi.input import IpiInput

MASSES_DIFFER = 2e-3
"""The network's masses from i-PI's, and so the motion after 20 steps, relative."""


@pytest.fixture(scope="module")
def langevin(tmp_path_factory):
    """A run of 12 steps at constant temperature."""
    folder = tmp_path_factory.mktemp("langevin")
    springs.write(folder, steps=12, ensemble="nvt")
    code, _, err = run(folder)
    assert code == 0, err
    return folder


def frames(folder: Path, name: str, array: str) -> np.ndarray:
    """A trajectory, shape (frames, N, 3), in ASE's units."""
    read = ase.io.read(folder / f"simulation.{name}_0.extxyz", ":")
    return np.array([frame.arrays[array] for frame in read])


def end(*processes: Popen) -> None:
    for process in processes:
        process.kill()
        process.wait()


def table(folder: Path) -> np.ndarray:
    return np.array(list(properties(folder).values()))


def test_flash_moves_atoms_as_the_network_knows(tmp_path):
    springs.write(tmp_path, more=", rescale: none")
    code, out, err = run(tmp_path)
    assert code == 0, err
    assert "steps by the network: 20, refused: none" in out
    assert summary(tmp_path)["evaluations"] == {
        "direct": 0, "conservative": 0, "both": 0, "energy": 21
    }  # fmt: skip
    positions, velocities = (
        frames(tmp_path, *which) for which in (("pos", "positions"), ("vel", "velocities"))
    )
    r, v = (x[:, ::2] - x[:, 1::2] for x in (positions, velocities))
    omega = (propagator.K * sum(1.0 / m for m in propagator.MASSES.values())) ** 0.5
    phase = omega * propagator.STRIDE_FS * ase.units.fs * np.arange(21)[:, None, None]
    exact = r[0] * np.cos(phase) + v[0] / omega * np.sin(phase)
    np.testing.assert_allclose(r, exact, atol=MASSES_DIFFER * np.abs(r).max())
    assert np.abs(r - r[0]).max() > np.abs(r).max()
    (system,) = IpiInput.read_state(tmp_path / "RESTART").systems
    masses = system.masses_in_input[:, None]
    momentum = (masses * velocities).sum(axis=1)
    assert np.abs(momentum).max() < 1e-6 * np.abs(masses * velocities).max()
    centre = (masses * positions).sum(axis=1) / masses.sum()
    np.testing.assert_allclose(centre, np.tile(centre[0], (21, 1)), atol=1e-6)
    ran = properties(tmp_path)
    assert np.ptp(ran["conserved"]) < MASSES_DIFFER * ran["kinetic_md"].mean()
    assert_nothing_left(tmp_path)


def test_flash_goes_on_from_restart(tmp_path, langevin):
    springs.write(tmp_path, steps=12, ensemble="nvt")
    assert run(tmp_path, "--steps", "5")[0] == 0
    assert "stepper" not in (tmp_path / "RESTART").read_text()
    code, _, err = run(tmp_path, "--restart", "--steps", "12")
    assert code == 0, err
    whole = table(langevin)
    np.testing.assert_allclose(table(tmp_path), whole, rtol=1e-9, atol=1e-12)
    assert len(np.unique(whole[3])) == 13


def test_flash_beside_serve_is_the_same(tmp_path, langevin):
    springs.write(tmp_path, steps=12, ensemble="nvt")
    ipi = start([*HALFKICK, "flash", "ipi", "input.xml"], tmp_path, "i-pi.log")
    driver = start([*HALFKICK, "serve", "input.xml"], tmp_path, "driver.log")
    try:
        assert ipi.wait(60) == 0, (tmp_path / "i-pi.log").read_text()
        assert driver.wait(60) == 0, (tmp_path / "driver.log").read_text()
    finally:
        end(ipi, driver)
    assert (table(tmp_path) == table(langevin)).all()


def test_flash_runs_are_shown_as_any(langevin):
    assert np.ptp(properties(langevin)["conserved"]) < 1e-9  # rescaled
    for words in (
        ["watch", "--once"],
        ["analyze", ".", "--json", "all.json"],
        ["compare", ".", "."],
    ):
        done = halfkick(langevin, *words)
        assert done.returncode == 0, done.stderr
    assert "refused: none" in halfkick(langevin, "watch", "--once").stdout
    assert "temperature" in json.dumps(json.loads((langevin / "all.json").read_text()))


def test_flash_guard_does_bad_steps_again(tmp_path):
    jumps = {}
    for name, more in (("guarded", ""), ("twin", ", max_error: off, rescale: none")):
        folder = tmp_path / name
        springs.write(folder, steps=30, ensemble="nvt", spoil_beyond=0.15, more=more)
        code, out, err = run(folder)
        assert code == 0, err
        ran = properties(folder)
        jumps[name] = np.abs(np.diff(ran["conserved"])).max() / ran["kinetic_md"].mean()
        told = summary(folder)
        assert told["stepper"]["steps"] == 30
        if name == "guarded":
            (count,) = told["stepper"]["refused"].values()
            assert f"refused: {count} for max_error" in out
            assert 1 <= count < 15
            assert told["evaluations"]["direct"] + told["evaluations"]["both"] >= 32 * count
    assert jumps["guarded"] < 5e-3 < 0.1 < jumps["twin"]


def test_flash_ends_after_three_bad_steps_in_a_row(tmp_path):
    springs.write(tmp_path, spoil_beyond=0.0)
    code, out, err = run(tmp_path)
    assert code == 1
    assert "3 steps of the network in a row were refused, since the energy would change" in err
    assert "refused: 3 for max_error" in out
    assert "<step>2</step>" in (tmp_path / "RESTART").read_text().replace(" ", "")
    assert len(properties(tmp_path)["step"]) == 3


def test_plain_ipi_beside_serve_is_refused(tmp_path):
    springs.write(tmp_path)
    driver = start([*HALFKICK, "serve", "input.xml"], tmp_path, "driver.log")
    ipi = start([*PROMPT_IPI, "input.xml"], tmp_path, "i-pi.log")
    try:
        assert driver.wait(60) == 2
    finally:
        end(ipi, driver)
    last = (tmp_path / "driver.log").read_text().splitlines()[-1]
    assert "expected i-PI with halfkick's stepper" in last and "halfkick run input.xml" in last
