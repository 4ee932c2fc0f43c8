"""Labels of distillation: none lost, none twice, chosen where they teach most."""

from __future__ import annotations

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from distilling import OPTIONS, frame, rounds
from toy import Toy

from halfkick.models.base import Role
from halfkick.models.distill.inputs import take_labels
from halfkick.models.distill.sample import ServedForce
from halfkick.models.distill.select import farthest, pick
from halfkick.models.distill.store import Store
from halfkick.models.errors import DataError


def test_label_store_keeps_each_structure_once(tmp_path):
    store = Store(tmp_path / "labels.xyz")
    store.add([frame(), frame(0.1), frame()])
    store.add([frame(0.1)])
    again = Store(tmp_path / "labels.xyz")
    assert len(store.frames) == len(again.frames) == 2
    assert frame() in again and frame(1e-6) not in again
    found = again.find(frame(0.1))
    np.testing.assert_array_equal(found.get_forces(), frame(0.1).get_forces())
    assert found.get_potential_energy() == pytest.approx(frame(0.1).get_potential_energy())


@pytest.mark.parametrize("cut", [1, 70, 2000])
def test_label_store_cuts_off_a_frame_half_written(tmp_path, caplog, cut):
    path = tmp_path / "labels.xyz"
    Store(path).add([frame(), frame(0.1)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    store = Store(path)
    assert len(store.frames) == 1 and "ends within a frame" in caplog.text
    store.add([frame(0.1)])
    assert path.read_bytes() == whole


def test_farthest_points_are_chosen_and_none_twice():
    points = np.array([[0.0], [0.1], [5.0], [5.1], [9.0]])
    assert farthest(points, points[:1], 2).tolist() == [4, 2]
    assert sorted(farthest(points, points[:0], 9)) == [0, 1, 2, 3, 4]


def test_label_choice_picks_what_the_student_is_worst_at():
    frames = [frame(0.01 * i) for i in range(8)]
    for i, f in enumerate(frames):
        f.arrays["gap"] = np.full((27, 3), 0.01 * (i == 5))
    picked = pick(frames, [frames[0]], 2)
    assert len(picked) == 2 and any(p is frames[5] for p in picked)
    assert any(p is frames[7] for p in picked)  # the farthest from the one that is known


def test_labels_that_exist_are_taken_if_they_are_the_teachers(tmp_path):
    source, store = ServedForce(Toy(), Role.CONSERVATIVE), Store(tmp_path / "labels.xyz")
    own = [frame(0.02 * i) for i in range(6)]
    for a in own:
        a.cell[0, 0] += 1e-12  # more digits than are kept
        a.calc = SinglePointCalculator(a, **a.calc.results)
        a.calc.results["energy"] += 7.0  # another zero
    ase.io.write(tmp_path / "own.xyz", own)
    take_labels(tmp_path / "own.xyz", store, source)
    assert store.frames[3].get_potential_energy() == pytest.approx(
        frame(0.06).get_potential_energy()
    )
    run = rounds(tmp_path, replace(OPTIONS, rounds=1))
    run.run()
    assert run._record.rounds[0]["sampled"] == 0  # they do for the first training

    own[0].calc.results["forces"] = 1.1 * own[0].get_forces()
    ase.io.write(tmp_path / "other.xyz", own)
    with pytest.raises(DataError, match="expected labels of the teacher"):
        take_labels(tmp_path / "other.xyz", Store(tmp_path / "new.xyz"), source)
    ase.io.write(tmp_path / "bare.xyz", Atoms("H"))
    with pytest.raises(DataError, match=r"forces under the key .* frame 0, got none"):
        take_labels(tmp_path / "bare.xyz", Store(tmp_path / "new.xyz"), source)


def turned_stress(own):
    for a in own:
        a.calc.results["stress"] = -a.calc.results["stress"]


def other_energies(own):
    for a in own:
        a.calc.results["energy"] *= 23.06


def no_energy(own):
    del own[2].calc.results["energy"]


def no_number(own):
    own[4].calc.results["forces"] = np.full((27, 3), np.nan)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda own: None, None),
        (turned_stress, "got stresses that differ by .* with ASE's sign"),
        (other_energies, r"frames \d and \d that differ by .* convert them to eV"),
        (no_energy, "energy under the key 'energy' in .* frame 2, got none"),
        (no_number, "finite forces in .* frame 4"),
    ],
)
def test_labels_that_are_not_the_teachers_are_refused(spoil, message, tmp_path):
    """By forces, stresses and differences of energies; for a student that needs energies."""
    own = [frame(0.2 * i) for i in range(6)]
    for a in own:
        a.calc = SinglePointCalculator(a, **a.calc.results)
    spoil(own)
    ase.io.write(tmp_path / "own.xyz", own)
    store, teacher = Store(tmp_path / "labels.xyz"), ServedForce(Toy(), Role.CONSERVATIVE)
    if message is None:
        take_labels(tmp_path / "own.xyz", store, teacher, energy=True)
        assert len(store.frames) == 6
        return
    with pytest.raises(DataError, match=message):
        take_labels(tmp_path / "own.xyz", store, teacher, energy=True)
    assert not store.frames
