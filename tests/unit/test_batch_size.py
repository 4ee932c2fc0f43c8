"""The size of a pass is found by trying, and shrinks when memory does not suffice."""

from __future__ import annotations

import exported
import finite
import numpy as np
import pytest
import toy
from finite import BOTH

from halfkick.models.backends.batch_size import BatchSize
from halfkick.models.backends.metatomic import MetatomicModel
from halfkick.models.errors import ModelError


def learn(chunks, cost, beads, requests=40):
    """Evaluate requests of so many beads, where a pass of n takes ``cost(n)``; the passes."""
    passes = []
    for _ in range(requests):
        left = beads
        while left:
            count = chunks.next_size(left)
            passes.append(count)
            chunks.record(count, cost(count))
            left -= count
    return passes


@pytest.mark.parametrize(
    ("cost", "beads", "found"),
    [
        (lambda n: 1.0, 32, 32),  # a GPU with room
        (lambda n: 1.0, 1, 1),
        (lambda n: 1.0, 6, 6),
        (lambda n: n + 0.1 * n * n, 32, 1),  # caches that overflow
        (lambda n: max(n, 8), 32, 8),  # a GPU that is full with 8
        (lambda n: max(n, 8), 12, 12),
    ],
)
def test_batch_size_becomes_the_quickest(cost, beads, found):
    assert learn(BatchSize(), cost, beads)[-1] == found


def test_batch_size_search_takes_a_few_requests():
    passes = learn(BatchSize(), lambda n: 1.0, 32, requests=25)
    assert passes[-1] == 32


def test_batch_size_stays_when_the_machine_slows_down():
    begun = []

    def cost(n):  # nearly as long for many as for one, and ever longer
        begun.append(n)
        return (1.0 + 0.5 * len(begun)) * (1.0 + 0.05 * n)

    assert learn(BatchSize(), cost, 8)[-1] == 8


def test_batch_size_search_of_single_structures_keeps_no_history():
    chunks = BatchSize()
    learn(chunks, float, 1, requests=1000)
    assert not chunks.settled and len(chunks._times_s) < 10


def test_batch_size_that_is_given_stays():
    assert set(learn(BatchSize(4), lambda n: 1.0, 8)) == {4}


def test_batch_size_shrinks_when_memory_does_not_suffice(caplog):
    chunks = BatchSize(16)
    chunks.halve(16)
    assert set(learn(chunks, lambda n: 1.0, 16)) == {8}
    chunks.halve(3)
    assert chunks.next_size(16) == 1
    assert "no memory for 16 structures at once; trying 8" in caplog.text


def test_batch_that_does_not_fit_is_cut(tmp_path, caplog):
    """A model that wants more memory than there is for more than two structures."""
    path = exported.export(tmp_path / "soft.pt", greedy_beyond=2)
    model, other = MetatomicModel(path, chunk=8), MetatomicModel(path, chunk=1)
    structures = [finite.structure_of(toy.atoms(seed=seed)) for seed in range(8)]
    results = model.evaluate(structures, BOTH)
    assert [r.message for r in caplog.records] == [
        "warning: no memory for 8 structures at once; trying 4",
        "warning: no memory for 4 structures at once; trying 2",
    ]
    for got, expected in zip(results, other.evaluate(structures, BOTH), strict=True):
        for role in BOTH:
            np.testing.assert_allclose(got[role].forces, expected[role].forces, atol=1e-10)


def test_structure_that_does_not_fit_is_an_error(tmp_path):
    model = MetatomicModel(exported.export(tmp_path / "soft.pt", greedy_beyond=0))
    with pytest.raises(ModelError, match="expected model 'soft' to evaluate 1 structures"):
        model.evaluate([finite.structure_of(toy.atoms())], BOTH)
