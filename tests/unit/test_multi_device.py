"""Several devices share the structures of a batch; the results are those of one."""

from __future__ import annotations

import json
import threading

import finite
import numpy as np
import pytest
import toy
from finite import BOTH
from simulation import HALFKICK, IPI, Case, last_positions, simulate, start, write

from halfkick.models.backends.multi_device import MultiDeviceModel
from halfkick.models.base import Role
from halfkick.models.errors import ModelError
from halfkick.models.load import load_model
from halfkick.models.testing import check_force_model


class Watched(toy.Toy):
    """The toy model, which notes what it evaluates and where, and waits for its companions."""

    def __init__(self, meeting: threading.Barrier) -> None:
        super().__init__()
        self.seen = []
        self.meeting = meeting

    def evaluate(self, structures, roles):
        self.meeting.wait(timeout=30)  # breaks unless all copies are at work at the same time
        self.seen.append([structure.slot for structure in structures])
        return super().evaluate(structures, roles)


def structures(count):
    return [finite.structure_of(toy.atoms(seed=seed), seed) for seed in range(count)]


def test_multi_device_copies_work_at_the_same_time_in_order():
    copies = [Watched(threading.Barrier(1)) for _ in range(3)]
    meeting = threading.Barrier(3)
    for copy in copies:
        copy.meeting = meeting
    spread, batch = MultiDeviceModel(copies), structures(7)
    for _ in range(2):
        results = spread.evaluate(batch, BOTH)
        for result, expected in zip(results, toy.Toy().evaluate(batch, BOTH), strict=True):
            for role in Role:
                assert np.array_equal(result[role].forces, expected[role].forces)
    assert [copy.seen for copy in copies] == [[[0, 1]] * 2, [[2, 3]] * 2, [[4, 5, 6]] * 2]


def test_multi_device_contract_holds():
    spread = MultiDeviceModel([toy.Toy() for _ in range(2)])
    check_force_model(spread, structures(3), tolerance=1e-7)


def test_multi_device_takes_fewer_structures_than_copies():
    spread = MultiDeviceModel([toy.Toy() for _ in range(3)])
    assert len(spread.evaluate(structures(1), BOTH)) == 1
    assert spread.evaluate([], BOTH) == []


def test_multi_device_refuses_what_one_copy_refuses():
    spread = MultiDeviceModel([toy.Toy(direct=False) for _ in range(2)])
    assert spread.capabilities.roles == {Role.CONSERVATIVE}
    with pytest.raises(ModelError, match="offer direct forces"):
        spread.evaluate(structures(4), frozenset({Role.DIRECT}))


def test_multi_device_runs_an_exported_model():
    two = load_model("water?chunk=1", device="cpu,cpu")
    one = load_model("water?chunk=1", device="cpu")
    two.needs_virial = one.needs_virial = False
    batch = structures(3)
    *_, results = two.evaluate_in_parts(batch, BOTH)
    for result, expected in zip(results, one.evaluate(batch, BOTH), strict=True):
        for role in Role:
            np.testing.assert_allclose(result[role].forces, expected[role].forces, atol=1e-5)
            assert not result[role].virial.any()


def test_multi_device_serves_beads(tmp_path):
    case = Case("pile", beads=4, batch=4, steps=20)
    write(tmp_path, case)
    ipi = start([*IPI, "input.xml"], tmp_path, "i-pi.log")
    arguments = ["serve", "input.xml", "--device", "cpu,cpu", "--report", "r.json"]
    driver = start([*HALFKICK, *arguments], tmp_path, "driver.log")
    try:
        assert [ipi.wait(180), driver.wait(60)] == [0, 0]
    finally:
        for process in (ipi, driver):
            process.kill()
            process.wait()
    inside = tmp_path / "inside"
    inside.mkdir()
    simulate(inside, Case("pile", beads=4, steps=20, mode=None))
    assert np.abs(last_positions(tmp_path) - last_positions(inside)).max() < 1e-10
    hits = json.loads((tmp_path / "r.json").read_text())["predictions"]["hits"]
    assert 80 <= hits <= 81  # at the start all beads coincide, and both forces may come at once
