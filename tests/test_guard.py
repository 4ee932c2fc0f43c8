"""Limits: once is a warning, several times in a row is the end, with everything kept."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from simulation import HALFKICK, Case, start, write
from toy import Toy, atoms

from halfkick.driver.guard import Guard, GuardError, Limits
from halfkick.models.base import Role, Structure

BOTH = frozenset(Role)
MOVES = Limits(max_move=1.0)


def structure(move=0.0, wrapped=False, slot="a"):
    frame = atoms()
    frame.positions[0] += move
    if wrapped:
        frame.positions[5] += frame.cell.array[1]
    return Structure(frame.numbers, frame.positions, frame.cell.array, frame.pbc, slot)


def check(guard, limits, *structures):
    for s in structures:
        guard.check([s], Toy().evaluate([s], BOTH), limits, Role.DIRECT)


def test_an_ordinary_run_passes():
    check(Guard(), MOVES, *[structure(0.05 * i) for i in range(5)])


@pytest.mark.parametrize("name", ["max_force", "max_gap"])
def test_forces_beyond_a_limit(tmp_path, monkeypatch, caplog, name):
    monkeypatch.chdir(tmp_path)
    limits = Limits(**{name: 1e-3})
    guard = Guard()
    check(guard, limits, structure(), structure())
    assert len(caplog.records) == 2 and f"expected {name} 0.001 eV/Å" in caplog.text
    with pytest.raises(GuardError, match=f"expected {name}.*request 3 of a"):
        check(guard, limits, structure())
    saved = ase.io.read("guard.xyz")
    assert np.allclose(saved.positions, structure().positions)


def test_an_exception_is_forgiven(caplog):
    guard, far = Guard(), structure(0.8)
    for _ in range(5):  # there and back is two moves too far, then one that is not
        check(guard, MOVES, structure(), far, structure(), structure())
    assert "max_move" in caplog.text


def test_jumps_end_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jumps = [structure(0.8 * (i % 2)) for i in range(4)]
    with pytest.raises(GuardError, match="max_move 1 Å"):
        check(Guard(), MOVES, *jumps)
    check(Guard(), Limits(), *jumps)
    check(Guard(), MOVES, *[structure(wrapped=bool(i % 2)) for i in range(8)])
    check(Guard(), MOVES, *[structure(0.8 * (i % 2), slot=i) for i in range(4)])


def test_limits_are_read():
    assert Limits.read({"max_gap": "0.5", "role": "direct"}).max_gap == 0.5
    assert Limits.read({"max_force": "off"}).max_force == np.inf
    for text in ("0", "-1", "nan", "much"):
        with pytest.raises(ValueError, match="expected a positive number"):
            Limits.read({"max_move": text})


def test_a_run_is_stopped_with_restart(tmp_path):
    write(tmp_path, Case(steps=100_000, model="python:toy:toy, max_force: 0.01"))
    process = start([*HALFKICK, "run", "input.xml"], tmp_path, "run.log")
    assert process.wait(120) != 0
    assert "expected max_force 0.01 eV/Å" in (tmp_path / "run.log").read_text()
    assert (tmp_path / "RESTART").exists()
    assert (tmp_path / "guard.xyz").exists()
    assert not [p for p in tmp_path.iterdir() if p.is_socket()]
