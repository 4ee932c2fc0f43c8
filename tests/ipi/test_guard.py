"""Limits: once is a warning, several times in a row is the end, with everything kept."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from simulation import HALFKICK, Case, start, write
from toy import Toy, atoms

from halfkick.driver.errors import GuardError
from halfkick.driver.server.force_field import ForceField, ServedForces
from halfkick.driver.server.guards.guard import Guard
from halfkick.driver.server.limits import Limits
from halfkick.models.base import Role, Structure

TOY = Toy()


def structure(move=0.0, wrapped=False, slot="a"):
    frame = atoms()
    frame.positions[0] += move
    if wrapped:
        frame.positions[5] += frame.cell.array[1]
    return Structure(frame.numbers, frame.positions, frame.cell.array, frame.pbc, slot)


@pytest.fixture
def field(tmp_path, monkeypatch):
    """Make a force field of the toy model, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    ase.io.write("init.xyz", atoms())

    def make(role=Role.DIRECT, **limits):
        parameters = {"model": "toy", "role": role.value, "template": "init.xyz"}
        return ForceField(parameters | {k: str(v) for k, v in limits.items()}, lambda _: TOY, False)

    return make


@pytest.fixture
def moves(field):
    return field(max_move=1.0)


def check(guard, field, *structures):
    for s in structures:
        guard.check(field, [s], field.collect(TOY.evaluate([s], frozenset({field.role}))))


def test_an_ordinary_run_passes(moves):
    check(Guard(1), moves, *[structure(0.05 * i) for i in range(5)])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("which", "name"), [(0, "energy"), (1, "forces"), (2, "virial")])
def test_a_number_that_is_not_finite_ends_the_run_at_once(field, which, name, value):
    direct = field()
    results = TOY.evaluate([structure()], frozenset({direct.role}))
    served = direct.collect(results)
    numbers = [array.copy() for array in (served.energies, served.forces, served.virials)]
    Guard(1).check(direct, [structure()], ServedForces(*numbers))
    numbers[which].flat[-1] = value
    with pytest.raises(GuardError, match=rf"got NaN or infinity in direct {name} \(request 1 of a"):
        Guard(1).check(direct, [structure()], ServedForces(*numbers))
    assert len(ase.io.read("guard.xyz")) == len(atoms())


def test_forces_beyond_a_limit(field, caplog):
    guard, strict = Guard(1), field(max_force=1e-3)
    check(guard, strict, structure(), structure())
    assert len(caplog.records) == 2 and "expected max_force 0.001 eV/Å" in caplog.text
    with pytest.raises(GuardError, match=r"expected max_force.*request 3 of a"):
        check(guard, strict, structure())
    saved = ase.io.read("guard.xyz")
    assert np.allclose(saved.positions, structure().positions)


@pytest.mark.parametrize("which", list(Role))
def test_a_gap_beyond_the_limit_of_either_force_field(field, which):
    guard = Guard(1)
    direct, conservative = (
        field(role, **({"max_gap": 1e-3} if role is which else {})) for role in Role
    )
    with pytest.raises(GuardError, match=r"expected max_gap 0.001 eV/Å.*request 4 of b"):
        for i in range(4):
            check(guard, direct, structure(0.01 * i))
            check(guard, conservative, structure(0.01 * i, slot="b"))


def test_a_gap_needs_the_same_structure(field):
    guard, direct, conservative = Guard(1), field(max_gap=1e-3), field(Role.CONSERVATIVE)
    for i in range(9):
        check(guard, direct, structure(0.02 * i))
        check(guard, conservative, structure(0.02 * i + 0.01, slot="b"))


def test_an_exception_is_forgiven(moves, caplog):
    guard, far = Guard(1), structure(0.8)
    for _ in range(5):  # there and back is two moves too far, then one that is not
        check(guard, moves, structure(), far, structure(), structure())
    assert "max_move" in caplog.text


def test_jumps_end_the_run(moves, field):
    jumps = [structure(0.8 * (i % 2)) for i in range(4)]
    with pytest.raises(GuardError, match="max_move 1 Å"):
        check(Guard(1), moves, *jumps)
    check(Guard(1), field(), *jumps)
    check(Guard(1), moves, *[structure(wrapped=bool(i % 2)) for i in range(8)])
    check(Guard(1), moves, *[structure(0.8 * (i % 2), slot=i) for i in range(4)])


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
