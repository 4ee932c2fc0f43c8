"""Through any transport, a trajectory is the one i-PI computes with the same code inside it."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulation import Case, last_positions, properties, simulate

STEPS = 50  # outer ones
ENSEMBLES = {
    "nve": Case("nve", steps=STEPS),
    "svr": Case("svr", steps=STEPS),
    "npt": Case("npt", steps=STEPS),
    "pimd": Case("pile", beads=4, steps=STEPS),
    "nested": Case("nve", strides=(1, 2, 2), steps=STEPS),
}
TRANSPORTS = [(mode, batch) for mode in ("unix", "inet", "shm") for batch in (1, 4)]
PAIRS = [
    *((name, *transport) for name in ("npt", "pimd") for transport in TRANSPORTS),
    *(("nve", "unix", 1), ("nve", "shm", 4), ("svr", "inet", 1), ("svr", "unix", 4)),
    *(("nested", "shm", 1), ("nested", "inet", 4)),
]
"""What has the most to send, virials and beads, through each; the others through each once."""


@functools.cache
def reference(name: str) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        return last_positions(simulate(Path(folder), replace(ENSEMBLES[name], mode=None)))


@pytest.mark.parametrize(("name", "mode", "batch"), PAIRS)
def test_trajectory_does_not_depend_on_the_transport(tmp_path, name, mode, batch):
    case = replace(ENSEMBLES[name], mode=mode, batch=batch)
    positions = last_positions(simulate(tmp_path, case))
    assert positions.shape == (case.beads, 27, 3)
    assert np.abs(positions - reference(name)).max() < 1e-10


def test_trajectory_depends_on_the_stride(tmp_path):
    """The comparison above can fail: another stride gives other positions."""
    case = Case("nve", strides=(1, 2), steps=2 * STEPS)
    positions = last_positions(simulate(tmp_path, case))
    assert np.abs(positions - reference("nve")).max() > 1e-6


def test_trajectory_is_the_same_by_the_classic_exchange(tmp_path):
    """STATUS, POSDATA and GETFORCE in writes of their own."""
    case = replace(ENSEMBLES["pimd"], extra="<consolidate_messages> False </consolidate_messages>")
    positions = last_positions(simulate(tmp_path, case))
    assert np.abs(positions - reference("pimd")).max() < 1e-10


def drift(folder: Path) -> float:
    """Slope of the conserved quantity, eV/ps."""
    out = properties(folder)
    return float(np.polyfit(out["time"], out["conserved"], 1)[0])


def test_trajectory_of_stride_one_is_the_conservative_one(tmp_path):
    folders = {name: tmp_path / name for name in ("mts1", "mts4", "conservative", "direct")}
    for folder in folders.values():
        folder.mkdir()
    simulate(folders["mts1"], Case(strides=(1, 1), steps=400))
    simulate(folders["mts4"], Case(strides=(1, 4), steps=100))
    simulate(folders["conservative"], Case(strides=(1,), roles=("conservative",), steps=400))
    simulate(folders["direct"], Case(strides=(1,), roles=("direct",), steps=400))

    conservative = last_positions(folders["conservative"])
    assert np.abs(last_positions(folders["mts1"]) - conservative).max() < 1e-10
    assert np.abs(last_positions(folders["direct"]) - conservative).max() > 1e-3

    # direct forces have no energy: what they heat shows in the kinetic energy
    heating = abs(kinetic_slope(folders["direct"]))
    assert heating > 20 * abs(drift(folders["mts4"]))
    assert heating > 20 * abs(drift(folders["conservative"]))


def kinetic_slope(folder: Path) -> float:
    """Slope of the kinetic energy, eV/ps."""
    out = properties(folder)
    return float(np.polyfit(out["time"], out["kinetic_md"], 1)[0])
