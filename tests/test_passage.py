"""The fast part of the gap, and the passages of the model's own dynamics that tell it."""

from __future__ import annotations

import labelled
import numpy as np
import pytest
import torch

from halfkick.models.train import network
from halfkick.models.train.batch import Batch, Frame, rotations
from halfkick.models.train.dynamics import INNER_FS, STRIDE, own_frames
from halfkick.models.train.passage import LENGTH, fast_part, in_order
from halfkick.models.train.stage import loss_of

APART_FS = INNER_FS * STRIDE


def wave(period_fs, numbers):
    """A gap that swings with that period, at the times of a passage, one phase for each atom."""
    phases = 2 * np.pi * np.arange(len(numbers))[:, None] / len(numbers) * np.ones(3)
    times = APART_FS * np.arange(LENGTH)
    return torch.tensor(np.concatenate([np.sin(2 * np.pi * t / period_fs + phases) for t in times]))


@pytest.mark.parametrize(("period_fs", "share"), [(4.0, 2.0), (8.0, 1.0), (80.0, 0.0123)])
def test_how_much_a_vibration_counts(period_fs, share):
    numbers = torch.ones(400, dtype=torch.long)
    gap = wave(period_fs, numbers)
    found = float(fast_part(gap, numbers.repeat(LENGTH)).square().mean().sqrt())
    assert found == pytest.approx(share * 0.5**0.5, rel=1e-3)


def test_heavy_atoms_count_less():
    numbers = torch.tensor([1, 8])
    gap = torch.zeros(6, 3)
    gap[2:4] = 1.0
    light, heavy = fast_part(gap, numbers.repeat(LENGTH)).abs()[:, 0]
    assert light == pytest.approx(1.0)
    assert heavy == pytest.approx((1.008 / 15.999) ** 0.5, rel=1e-3)


def test_passages_are_frames_of_one_copy_in_a_row():
    """Frames of a passage are one outer step apart, passages far more; not so out of order."""
    frames = labelled.frames(4)
    species = {1: 0.0, 8: 0.0}
    torch.manual_seed(0)
    architecture = {"d_pet": 8, "d_head": 8, "d_node": 8, "d_feedforward": 8, "num_heads": 2}
    model = network.new([1, 8], [network.ENERGY, network.DIRECT], architecture, species).eval()
    found = own_frames(
        model, frames, 6, scale=1e-6, temperature_K=300.0, seed=0, in_a_row=LENGTH
    )  # fmt: skip
    assert len(found) == 6 * LENGTH
    x = np.array([a.positions for a in found]).reshape(6, LENGTH, -1)
    np.testing.assert_allclose(x[:, 0] + x[:, 2], 2 * x[:, 1], atol=0.02)  # nearly straight
    assert np.abs(np.roll(x, 1, axis=0)[:, 0] + x[:, 2] - 2 * x[:, 1]).max() > 0.1

    passages = [
        tuple(Frame.of(a, model.cutoff, species) for a in found[i : i + LENGTH]) for i in (0, 3)
    ]
    turns = rotations(2, np.random.default_rng(0)).repeat(LENGTH, 1, 1)
    batch = Batch(in_order(passages), turns)
    n = len(found[0])
    for k, passage in enumerate(passages):
        for j, frame in enumerate(passage):
            start = (2 * j + k) * n
            assert torch.equal(batch.edges.numbers[start : start + n], frame.edges.numbers)


def test_the_fast_part_weighs():
    gap = torch.full((6, 3), 0.01)
    assert loss_of({"gap": gap, "fast": gap[:2]}, 1.0) > 10 * loss_of({"gap": gap}, 1.0)
