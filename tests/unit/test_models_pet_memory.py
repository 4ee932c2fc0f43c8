"""A PET whose gradient would not fit into memory is evaluated in blocks of atoms."""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pytest
from finite import BOTH, CONSERVATIVE, DIRECT
from pets import OPTIONS, export, structures

from halfkick.models.backends.metatomic import MetatomicModel, part_of
from halfkick.models.backends.pet import memory, network
from halfkick.models.backends.pet.blocks import split
from halfkick.models.backends.pet.memory import GradientMemory, available_bytes
from halfkick.models.base import Structure

PEAK = """
import resource, sys
import ase.io
import numpy as np
from halfkick import Role, Structure, load_model
from halfkick.models.backends.pet import memory

memory.available_bytes = lambda: int(sys.argv[1])
model = load_model("water?chunk=1")
atoms = ase.io.read(sys.argv[2])
roles = frozenset({Role.DIRECT, Role.CONSERVATIVE})


def status(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


for structure in atoms, atoms.repeat(2):
    before = status("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # peak memory begins here
    s = Structure(structure.numbers, structure.positions, structure.cell[:], structure.pbc)
    model.evaluate([s], roles)
print(status("VmHWM") - before)
"""


@pytest.mark.parametrize("name", OPTIONS)
def test_gradient_in_blocks_is_that_in_one(name, tmp_path, monkeypatch):
    path = export(tmp_path / "model.pt", OPTIONS[name])
    counts = []
    monkeypatch.setattr(network, "split", lambda *args: counts.append(len(s := split(*args))) or s)
    monkeypatch.setattr(network, "BLOCK_SIZE", 3 * 128)  # a few edges
    found = []
    for available in (10**12, 0):
        monkeypatch.setattr(memory, "available_bytes", lambda value=available: value)
        model = MetatomicModel(path, dtype="float64", chunk=4, engine="edges")
        monkeypatch.setattr(model, "_compare", lambda *_: None)
        found.append(
            [model.evaluate(structures(), roles) for roles in (DIRECT, CONSERVATIVE, BOTH)]
        )
        assert (max(counts) > 5) == (available == 0)
    for whole, blocks in zip(*found, strict=True):
        for one, other in zip(whole, blocks, strict=True):
            assert one.keys() == other.keys()
            for role in one:
                assert one[role].energy == pytest.approx(other[role].energy, abs=1e-10)
                np.testing.assert_allclose(one[role].forces, other[role].forces, atol=1e-10)
                np.testing.assert_allclose(one[role].virial, other[role].virial, atol=1e-10)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_blocks_take_half_of_the_memory_at_most(tmp_path):
    """1536 atoms of water; the twin has memory enough and takes what it wants."""
    from importlib.resources import files

    path = files("halfkick.ipi_inputs") / "water_nve_mts" / "init.xyz"
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-W", "ignore", "-c", PEAK, available, str(path)],
                capture_output=True, text=True, check=True,
            ).stdout
        )
        for available in ("0", "1000000000000")
    ]  # fmt: skip
    assert peaks[0] < 0.5 * peaks[1]


def test_engines_are_compared_on_a_part_with_all_species():
    """Atoms around the first one; the one far away is of a species of its own."""
    numbers = np.array([8] * 30 + [1, 8, 3])
    positions = np.zeros((33, 3))
    positions[:, 0] = np.arange(33)[::-1]
    structure = Structure(numbers, positions, 50.0 * np.eye(3), np.array([True] * 3), "place")
    part = part_of(structure, 5)
    assert part.slot is None
    assert part.numbers.tolist() == [8, 8, 8, 8, 8, 1, 3]
    np.testing.assert_array_equal(part.positions[:, 0], [32, 31, 30, 29, 28, 2, 0])
    assert part_of(structure, 33).numbers is numbers


class OfWater:
    num_gnn_layers, num_attention_layers, d_pet = 2, 1, 64


def test_memory_that_is_short_is_said_once_and_stays_short(monkeypatch, caplog):
    """What a pass leaves with the process counts as taken: the answer must not change by it."""
    available = [8e9]
    monkeypatch.setattr(memory, "available_bytes", lambda: available[0])
    gradient = GradientMemory(OfWater, itemsize=4)  # 20 kB an edge
    with caplog.at_level(logging.INFO, "halfkick"):
        assert gradient.fits(100_000)
        assert not gradient.fits(300_000)
        available[0] = 1e12
        assert not gradient.fits(300_000) and not gradient.fits(320_000)
    assert [record.message for record in caplog.records] == [
        "a gradient of 6.1 GB would take more than half of the 8.0 GB of memory that are "
        "available: it is made in blocks"
    ]
    assert gradient.fits(3_000_000)
    available[0] = 1.0
    assert gradient.fits(3_000_000)


@pytest.mark.parametrize(
    ("machine", "limit", "used", "expected"),
    [
        ("MemFree: 1 kB\nMemAvailable: 4096 kB\n", None, None, 4096 * 1024),
        ("MemAvailable: 4096 kB\n", "max\n", "5\n", 4096 * 1024),
        ("MemAvailable: 4096 kB\n", "2000\n", "500\n", 1500),
        (None, "2000\n", "500\n", 1500),
        (None, None, None, None),
    ],
)
def test_available_memory_is_the_least_of_machine_and_group(
    machine, limit, used, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr(memory, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    for name, text in (("meminfo", machine), ("memory.max", limit), ("memory.current", used)):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert available_bytes() == expected
