"""Training of FlashMD's networks: pairs, errors, and a training that is killed on its way."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import propagator
import pytest
import springs
from ase import units

from halfkick.models.errors import DataError, ModelError
from halfkick.models.flash.pairs import Trajectory, make_pairs, masses_by_species, split
from halfkick.models.flash.train import FlashOptions, train

SPACING_FS = 2.0
OPTIONS = FlashOptions(8.0, every_fs=2.0, size="xs", cutoff=2.5, epochs=2, batch_size=4)


def trajectory(seed: int, frames: int = 16) -> Trajectory:
    """Pairs on springs, as they move."""
    atoms, rng = springs.atoms(pairs=4), np.random.default_rng(seed)
    masses = np.array([propagator.MASSES[z] for z in atoms.numbers])
    m = masses.reshape(-1, 2, 1)
    reduced = m.prod(axis=1) / m.sum(axis=1)
    times = SPACING_FS * np.arange(frames)
    omega = (propagator.K / reduced[0, 0]) ** 0.5
    phase = omega * units.fs * times[:, None, None]
    r0, v0 = rng.normal(scale=0.05, size=(2, 4, 3))
    r = r0 * np.cos(phase) + v0 * np.sin(phase)
    pr = reduced * omega * (v0 * np.cos(phase) - r0 * np.sin(phase))
    centres = atoms.positions.reshape(-1, 2, 3).mean(axis=1)
    parts = m[:, ::-1] / m.sum(axis=1, keepdims=True) * [[1.0], [-1.0]]
    return Trajectory(
        name=str(seed),
        numbers=atoms.numbers,
        masses=masses,
        pbc=atoms.pbc,
        times=times,
        positions=(centres[:, None] + parts * r[:, :, None]).reshape(frames, -1, 3),
        momenta=(np.array([[1.0], [-1.0]]) * pr[:, :, None]).reshape(frames, -1, 3),
        cell=atoms.cell.array,
    )


def test_pairs_are_a_stride_apart_and_have_a_reverse():
    whole = trajectory(0, frames=24)
    pairs = make_pairs(whole, 8.0, 6.0)
    assert len(pairs) == 2 * len(range(0, 20, 3))
    forward, back = pairs[2:4]
    np.testing.assert_array_equal(forward.structure.positions, whole.positions[3])
    np.testing.assert_allclose(forward.structure.positions + forward.moved, whole.positions[7])
    np.testing.assert_allclose(forward.momenta + forward.gained, whole.momenta[7])
    np.testing.assert_array_equal(back.structure.positions, whole.positions[7])
    np.testing.assert_allclose(back.structure.positions + back.moved, whole.positions[3])
    np.testing.assert_allclose(back.momenta, -whole.momenta[7])
    np.testing.assert_allclose(back.momenta + back.gained, -whole.momenta[3])
    # of a period of 20 fs, half of the autocorrelation is lost after a sixth
    assert len(make_pairs(whole, 8.0, None)) == 2 * len(range(0, 20, 2))


def test_pairs_that_cannot_be_are_refused():
    whole = trajectory(0)
    with pytest.raises(DataError, match="frames a whole part of 7 fs apart in '0', got 16 frames"):
        make_pairs(whole, 7.0, None)
    with pytest.raises(DataError, match="expected pairs to train on"):
        split([make_pairs(trajectory(0, frames=5), 8.0, None)])
    other = trajectory(1)
    other.masses[1] = 2.014
    with pytest.raises(DataError, match=r"one mass for atomic number 1, got 1.008 and 2.014 amu|"
                       r"got 2.014 and 1.008 amu"):  # fmt: skip
        masses_by_species([whole, other])
    with pytest.raises(ModelError, match="change --every"):
        FlashOptions(8.0, every_fs=-1.0)


def relative(card: dict) -> list[float]:
    return [e["rmse"] / e["size"] for of in card["errors"].values() for e in of.values()]


@pytest.mark.extra("metatrain")
@pytest.mark.filterwarnings("ignore")
def test_training_learns_and_goes_on_where_it_was_stopped(tmp_path):
    data = [trajectory(0), trajectory(1)]
    card = train(data, tmp_path / "whole.pt", OPTIONS, command="by hand")
    assert json.loads((tmp_path / "whole.card.json").read_text()) == card
    assert card["pairs"] == {"train": 24, "test": 24}
    assert card["steps"] == 12
    assert max(relative(card)) < 1.1
    assert not (tmp_path / "whole.train").exists()

    def interrupt() -> None:
        while not (tmp_path / "cut.train" / "state.pt").exists():
            time.sleep(1e-3)
        os.kill(os.getpid(), signal.SIGINT)

    often = replace(OPTIONS, save_every_s=1e-6)
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / "cut.pt", often)
    thread.join()
    assert not (tmp_path / "cut.pt").exists()
    with pytest.raises(ModelError, match="got one with other learning_rate, data"):
        train([data[1], data[0]], tmp_path / "cut.pt", replace(often, learning_rate=0.1))
    again = train(data, tmp_path / "cut.pt", OPTIONS)
    assert again["steps"] == 12
    assert relative(again) == pytest.approx(relative(card), rel=1e-6)
    assert relative(train(data, tmp_path / "other.pt", replace(OPTIONS, seed=1))) != relative(card)
