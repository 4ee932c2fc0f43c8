"""How training divides its data, and the energies of atoms that it takes off."""

import labelled
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from halfkick.models.errors import DataError, ModelError
from halfkick.models.train.labels.prepare import find_baseline, prepare
from halfkick.models.train.options import TrainOptions


def test_training_data_virials_become_stresses(tmp_path):
    found = labelled.frames(30, periodic=True)
    truth = [f.get_stress(voigt=False) for f in found]
    for atoms, stress in zip(found, truth, strict=True):
        del atoms.calc.results["stress"]
        atoms.info["virials"] = (-stress * atoms.get_volume()).ravel()
    read = prepare(labelled.write(tmp_path / "data.xyz", found), TrainOptions(), None)
    for atoms in read.parts["train"]:
        expected = truth[atoms.info["frame"]]
        assert atoms.get_stress(voigt=False) == pytest.approx(expected, abs=1e-6)


def test_data_split_keeps_trajectories_together(tmp_path):
    found = labelled.frames(60)
    for k, atoms in enumerate(found):
        atoms.info["trajectory"] = f"run{k % 12}"
    parts = prepare(labelled.write(tmp_path / "data.xyz", found), TrainOptions(), None).parts
    runs = {part: {f.info["trajectory"] for f in fs} for part, fs in parts.items()}
    assert runs["train"].isdisjoint(runs["validation"] | runs["test"])
    assert runs["validation"].isdisjoint(runs["test"])
    assert all(runs.values())


def test_data_split_keeps_blocks_together(tmp_path):
    """Without trajectories frames next to each other stay together, unlike in a random split."""
    parts = prepare(
        labelled.write(tmp_path / "data.xyz", labelled.frames(200)), TrainOptions(), None
    ).parts
    for part in ("validation", "test"):
        indices = np.array([f.info["frame"] for f in parts[part]])
        assert len(indices) == 20
        neighbours = np.diff(indices) == 1
        assert neighbours.mean() > 0.8
    shuffled = np.sort(np.random.default_rng(0).permutation(200)[:20])
    assert (np.diff(shuffled) == 1).mean() < 0.5


def test_data_split_that_is_named_is_kept(tmp_path):
    found = labelled.frames(40)
    for k, atoms in enumerate(found):
        atoms.info["split"] = ("train", "train", "val", "test")[k % 4]
    parts = prepare(labelled.write(tmp_path / "data.xyz", found), TrainOptions(), None).parts
    for part, rest in (("validation", 2), ("test", 3)):
        assert [f.info["frame"] % 4 for f in parts[part]] == [rest] * 10


def test_baseline_of_isolated_atoms(tmp_path):
    lone = [Atoms("H"), Atoms("O")]
    for atoms in lone:
        atoms.calc = SinglePointCalculator(atoms, energy=labelled.LONE[atoms.numbers[0]])
    path = labelled.write(tmp_path / "data.xyz", lone + labelled.frames())
    found = prepare(path, TrainOptions(), None)
    assert found.baseline == pytest.approx(labelled.LONE)
    assert found.summary["baseline"].startswith("isolated")
    assert sum(len(p) for p in found.parts.values()) == 40


def test_baseline_takes_the_lowest_isolated_atom_and_says_so(tmp_path):
    lone = [Atoms("H"), Atoms("O"), Atoms("H")]
    for atoms, energy in zip(lone, (-13.6, -432.0, -12.5), strict=True):
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
    path = labelled.write(tmp_path / "data.xyz", lone + labelled.frames())
    found = prepare(path, TrainOptions(), None)
    assert found.baseline == pytest.approx({1: -13.6, 8: -432.0})
    assert any("isolated H has energies from -13.6 to -12.5" in w for w in found.warnings)
    lone[0].calc.results["energy"] = float("nan")
    path = labelled.write(tmp_path / "data.xyz", lone + labelled.frames())
    with pytest.raises(DataError, match="energy of an isolated atom, got nan in frame 0"):
        prepare(path, TrainOptions(), None)


def test_baseline_fitted_to_compositions():
    """Mixtures give each species its own energy; one composition only their sum."""
    found = labelled.frames(30)
    for atoms in found:
        atoms.calc.results["energy"] = 8 * -432.0 + 2 * -13.6
    fitted, _ = find_baseline(found, [])
    assert fitted[8] + 2 * fitted[1] == pytest.approx(8 * -432.0 + 2 * -13.6)
    for atoms in found[::2]:
        atoms.numbers[1:] = 8
        atoms.calc.results["energy"] = 3 * -432.0
    for atoms in found[1::2]:
        atoms.calc.results["energy"] = -432.0 + 2 * -13.6
    fitted, _ = find_baseline(found, [])
    assert fitted == pytest.approx({1: -13.6, 8: -432.0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"recipe": "magic"},
            "expected recipe hybrid, conservative, direct, alignment, got 'magic'",
        ),
        ({"size": "xxl"}, "expected size xs, s, m"),
        ({"minutes": 0}, "positive number for minutes"),
        ({"temperature_K": -3}, "change --temperature"),
    ],
)
def test_training_options_are_checked(options, message):
    with pytest.raises(ModelError, match=message):
        TrainOptions(**options)
