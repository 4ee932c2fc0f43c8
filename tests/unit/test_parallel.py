"""Structures side by side, each part on cores of its own; the results are those of one pass."""

import threading

import finite
import numpy as np
import pytest
import torch
from finite import BOTH, CONSERVATIVE, DIRECT
from waters import water

from halfkick.models.backends.batch_size import split_evenly
from halfkick.models.backends.engine import EngineOutputs
from halfkick.models.backends.metatomic import MetatomicModel
from halfkick.models.backends.parallel import ParallelEngine
from halfkick.models.load import find_file


@pytest.fixture
def threads():
    """Two, whatever machine this is."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


class Meeting:
    """An engine whose parts wait for each other, and note how many threads they have."""

    def __init__(self, parties):
        self.barrier = threading.Barrier(parties)
        self.found = []

    def run(self, structures, kinds, virial, gradients=True):
        self.barrier.wait(timeout=30)  # breaks unless all parts are at work at the same time
        self.found.append((len(structures), torch.get_num_threads()))
        return EngineOutputs(structures, None, None)


@pytest.mark.parametrize(
    "count, threads, expected",
    [(1, 2, [1]), (2, 2, [1, 1]), (5, 2, [2, 3]), (3, 8, [1, 1, 1]), (9, 4, [2, 2, 2, 3])],
)
def test_parallel_parts_are_even(count, threads, expected):
    assert [len(part) for part in split_evenly(range(count), threads)] == expected


@pytest.mark.parametrize("count, each", [(2, 2), (4, 1)])
def test_parallel_parts_run_at_once_and_share_the_threads(count, each):
    engine = Meeting(count)
    mine = torch.get_num_threads()
    found = ParallelEngine(engine, 4).run([finite.structure_of(water(1))] * count, {}, False)
    assert engine.found == [(1, each)] * count and len(found.direct) == count
    assert torch.get_num_threads() == mine


class Slots:
    """An engine that notes the slots of each part."""

    def __init__(self):
        self.parts = []

    def run(self, structures, kinds, virial, gradients=True):
        self.parts.append([structure.slot for structure in structures])
        return EngineOutputs(structures, None, None)


def test_parallel_parts_never_share_a_slot():
    engine, slots = Slots(), ["a", "b", "a", None, "a", "b", None, "c"]
    structures = [finite.structure_of(water(1), slot) for slot in slots]
    ParallelEngine(engine, 2).run(structures, {}, False)
    assert sorted(engine.parts, key=str) == sorted(
        [["a", "b", None, None], [None, None, None, "c"]], key=str
    )


def test_parallel_twin_one_after_the_other_fails():
    """The twin: one worker for two parts."""
    engine = Meeting(2)
    engine.barrier.wait = lambda timeout: threading.Barrier.wait(engine.barrier, 0.2)
    with pytest.raises(threading.BrokenBarrierError):
        for part in split_evenly([finite.structure_of(water(1))] * 2, 2):
            engine.run(part, {}, False)


@pytest.mark.parametrize("roles", [DIRECT, CONSERVATIVE, BOTH])
def test_parallel_results_are_those_of_one_pass(roles, threads):
    structures = [finite.structure_of(water(seed=seed), seed) for seed in range(5)]
    one, parallel = (MetatomicModel(find_file("water"), dtype="float64", chunk=c) for c in (1, 3))
    assert isinstance(parallel._batch_engine, ParallelEngine)
    for _ in range(3):
        *_, expected = one.evaluate_in_parts(structures, roles)
        *_, found = parallel.evaluate_in_parts(structures, roles)
        for results, others in zip(found, expected, strict=True):
            for role in roles:
                assert results[role].energy == pytest.approx(others[role].energy, abs=1e-9)
                np.testing.assert_allclose(results[role].forces, others[role].forces, atol=1e-9)


def test_torchscript_runs_in_one_thread(threads):
    """Its modules change themselves while they run."""
    model = MetatomicModel(find_file("water"), engine="torchscript", chunk=4)
    assert model._batch_engine is model._engine
