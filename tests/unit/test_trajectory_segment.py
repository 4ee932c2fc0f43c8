"""The fast part of the gap, and the segments of the model's own dynamics that tell it."""

from __future__ import annotations

import labelled
import numpy as np
import pytest
import torch

from halfkick.models.backends.pet import metatrain
from halfkick.models.train.worker.batch import Batch, Frame, random_rotations
from halfkick.models.train.worker.dynamics import INNER_FS, STRIDE, LangevinCopies, generate_frames
from halfkick.models.train.worker.loop import TrainingLoop
from halfkick.models.train.worker.segment import SEGMENT_LENGTH, fast_part, flatten_by_time
from halfkick.models.train.worker.stage import Stage

APART_FS = INNER_FS * STRIDE
SPECIES = {1: 0.0, 8: 0.0}


def wave(period_fs, numbers):
    """A gap that swings with that period, at the times of a segment, one phase for each atom."""
    phases = 2 * np.pi * np.arange(len(numbers))[:, None] / len(numbers) * np.ones(3)
    times = APART_FS * np.arange(SEGMENT_LENGTH)
    return torch.tensor(np.concatenate([np.sin(2 * np.pi * t / period_fs + phases) for t in times]))


@pytest.mark.parametrize(("period_fs", "share"), [(4.0, 2.0), (8.0, 1.0), (80.0, 0.0123)])
def test_fast_part_counts_a_vibration_by_its_period(period_fs, share):
    numbers = torch.ones(400, dtype=torch.long)
    gap = wave(period_fs, numbers)
    found = float(fast_part(gap, numbers.repeat(SEGMENT_LENGTH)).square().mean().sqrt())
    assert found == pytest.approx(share * 0.5**0.5, rel=1e-3)


def test_fast_part_counts_heavy_atoms_less():
    numbers = torch.tensor([1, 8])
    gap = torch.zeros(6, 3)
    gap[2:4] = 1.0
    light, heavy = fast_part(gap, numbers.repeat(SEGMENT_LENGTH)).abs()[:, 0]
    assert light == pytest.approx(1.0)
    assert heavy == pytest.approx((1.008 / 15.999) ** 0.5, rel=1e-3)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    architecture = {"d_pet": 8, "d_head": 8, "d_node": 8, "d_feedforward": 8, "num_heads": 2}
    return metatrain.new([1, 8], [metatrain.ENERGY, metatrain.DIRECT], architecture, SPECIES).eval()


def segments(model):
    """Six of them, 18 frames, and their positions (6, 3, 3n)."""
    found = generate_frames(
        model, labelled.frames(4), 6, scale=1e-6, temperature_K=300.0, seed=0,
        in_a_row=SEGMENT_LENGTH,
    )  # fmt: skip
    assert len(found) == 6 * SEGMENT_LENGTH
    return found, np.array([a.positions for a in found]).reshape(6, SEGMENT_LENGTH, -1)


def test_trajectory_segment_stays_in_one_copy(model, monkeypatch):
    """A copy that gets too hot is started anew, in the middle of a segment too."""
    thermostat = LangevinCopies.thermostat

    def heated(self, duration_fs):
        self.particles.velocities[self.slices[0]] *= 1e9
        thermostat(self, duration_fs)

    monkeypatch.setattr(LangevinCopies, "thermostat", heated)
    _, x = segments(model)
    np.testing.assert_allclose(x[:, 0] + x[:, 2], 2 * x[:, 1], atol=0.02)


def test_trajectory_segment_is_consecutive_frames(model):
    """Frames of a segment are one outer step apart, segments far more; not so out of order."""
    found, x = segments(model)
    np.testing.assert_allclose(x[:, 0] + x[:, 2], 2 * x[:, 1], atol=0.02)  # nearly straight
    assert np.abs(np.roll(x, 1, axis=0)[:, 0] + x[:, 2] - 2 * x[:, 1]).max() > 0.1

    two = [
        tuple(Frame.of(a, model.cutoff, SPECIES) for a in found[i : i + SEGMENT_LENGTH])
        for i in (0, 3)
    ]
    rotations = random_rotations(2, np.random.default_rng(0)).repeat(SEGMENT_LENGTH, 1, 1)
    batch = Batch(flatten_by_time(two), rotations)
    n = len(found[0])
    for k, segment in enumerate(two):
        for j, frame in enumerate(segment):
            start = (2 * j + k) * n
            assert torch.equal(batch.edges.numbers[start : start + n], frame.edges.numbers)


def test_fast_part_pulls_more_as_the_rate_falls(model):
    """Twice as much at half the rate, and not at all where nothing moves."""
    frames = [Frame.of(a, model.cutoff, SPECIES) for a in labelled.frames(4)]
    moving, still = tuple(frames[:SEGMENT_LENGTH]), tuple(frames[:1] * SEGMENT_LENGTH)

    def loss(segment, rate):
        loop = TrainingLoop(
            model, frames, Stage("alignment", True, (rate, rate), 1.0, 5e-3, align=True),
            scale=1.0, batch_size=1, seed=0, epochs=1, minutes=None, self_generated=[segment],
        )  # fmt: skip
        own = float(loop.alignment_loss().detach())
        return own, float(loop.loss().detach()) - own

    (early, labels), (later, _), (last, other) = (loss(moving, r) for r in (0.2, 0.1, 0.05))
    assert later - early > 1e-4 * early > 0, (early, later, last, labels, other)
    assert last - later == pytest.approx(2 * (later - early), rel=1e-3)
    assert loss(still, 0.2)[0] == pytest.approx(loss(still, 0.05)[0])
    assert labels > 0 and other > labels  # those of energies weigh more at a low rate


def test_training_step_sees_as_many_own_frames_as_labelled_ones(model):
    frames = [Frame.of(a, model.cutoff, SPECIES) for a in labelled.frames(8)]
    found, _ = segments(model)
    own = [tuple(Frame.of(a, model.cutoff, SPECIES) for a in found[:SEGMENT_LENGTH])] * 5
    stage = Stage("alignment", True, (0.2, 0.2), 1.0, 5e-3, align=True)
    loop = TrainingLoop(
        model,
        frames,
        stage,
        scale=1.0,
        batch_size=6,
        seed=0,
        epochs=1,
        minutes=None,
        self_generated=own,
    )
    assert len(loop.choose(own, 1, SEGMENT_LENGTH)[0]) == 2 and len(loop.choose(frames, 0)[0]) == 6
