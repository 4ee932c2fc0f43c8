"""What training says of data that cannot be right, and what it takes."""

import labelled
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from halfkick.models.errors import DataError
from halfkick.models.train.labels.near import work_ratio
from halfkick.models.train.labels.prepare import prepare
from halfkick.models.train.options import TrainOptions

HARTREE, BOHR, KCAL, EV_A3 = 27.2114, 0.529177, 23.0605, 160.2177


def near(count=60):
    """Frames of a trajectory: each moves a little from the one before."""
    found, rng = labelled.frames(1), np.random.default_rng(5)
    while len(found) < count:
        atoms = found[-1].copy()
        forces = found[-1].calc.results["forces"]
        atoms.positions += 0.002 * forces + rng.normal(scale=0.03, size=(3, 3))
        atoms.calc = SinglePointCalculator(atoms, **labelled.labels(atoms))
        found.append(atoms)
    return found


def scaled(found, energy=1.0, forces=1.0):
    for atoms in found:
        atoms.calc.results["energy"] *= energy
        atoms.calc.results["forces"] = atoms.calc.results["forces"] * forces
    return found


def without(found, kind, index):
    del found[index].calc.results[kind]
    return found


def with_nan(found, kind):
    value = np.array(found[7].calc.results[kind], float)
    value.flat[-1] = np.nan
    found[7].calc.results[kind] = value if value.ndim else float(value)
    return found


def outlier(found):
    forces = found[11].calc.results["forces"].copy()
    forces[2] = 900.0
    found[11].calc.results["forces"] = forces
    return found


def renamed(found, **names):
    """Labels under other names, in info and arrays."""
    for atoms in found:
        for name, kind in names.items():
            held = atoms.arrays if kind == "forces" else atoms.info
            held[name] = atoms.calc.results[kind]
        for kind in set(names.values()):
            atoms.calc.results.pop(kind, None)
    return found


def mixed():
    found = labelled.frames(30, periodic=True)
    found[4].pbc = (True, True, False)
    return found


def flat_cell():
    found = labelled.frames(30)
    found[3].pbc = True
    for atoms in found:
        atoms.calc.results.pop("stress", None)
    return found


def beside(found, energy=0.0, forces=0.0):
    """The labels again under names of their own, with something added."""
    for atoms in found:
        atoms.info["REF_energy"] = atoms.calc.results["energy"] + energy
        atoms.arrays["REF_forces"] = atoms.calc.results["forces"] + forces
    return found


def per_atom(found):
    for atoms in found:
        atoms.calc.results["energy"] /= len(atoms)
    return found


def of_two_sizes():
    return labelled.frames(20, periodic=True) + labelled.frames(20)


def half_renamed():
    return labelled.frames(20) + renamed(labelled.frames(20, seed=1), REF_energy="energy")


BAD = {
    "too few": (lambda: labelled.frames(10), {}, "at least 20 frames .* got 10"),
    "no forces": (lambda: without(labelled.frames(), "forces", 3), {}, "forces .* frame 3"),
    "no energy": (
        lambda: without(without(labelled.frames(), "energy", 3), "energy", 8),
        {},
        "energy .* frame 3 and 1 more",
    ),
    "no forces at all": (
        lambda: [without([f], "forces", 0)[0] for f in labelled.frames()],
        {},
        "forces .* --forces-key",
    ),
    "wrong key": (labelled.frames, {"energy_key": "dft"}, "'dft', got no frame .* energy"),
    "two energies": (
        lambda: renamed(labelled.frames(), energy_dft="energy", energy_xtb="energy"),
        {},
        "got energy_dft, energy_xtb; .* --energy-key",
    ),
    "NaN force": (lambda: with_nan(labelled.frames(), "forces"), {}, "finite forces, .* frame 7"),
    "NaN energy": (lambda: with_nan(labelled.frames(), "energy"), {}, "finite energy, .* frame 7"),
    "outlier": (lambda: outlier(labelled.frames()), {}, "on atom 2 of frame 11 .* --max-force"),
    "kcal/mol": (lambda: scaled(labelled.frames(), KCAL, KCAL), {}, "look like kcal/mol/Å"),
    "Hartree": (
        lambda: scaled(labelled.frames(), 1 / HARTREE, BOHR / HARTREE),
        {},
        "look like Hartree/Bohr",
    ),
    "gradients": (lambda: scaled(labelled.frames(), forces=-1.0), {}, "sign looks turned"),
    "energies in kcal/mol": (lambda: scaled(near(), energy=KCAL), {}, "23.* times the work"),
    "gradients in a trajectory": (lambda: scaled(near(), forces=-1.0), {}, "turn their sign"),
    "energies per atom": (
        lambda: per_atom(near()),
        {},
        "look like those per atom: multiply them",
    ),
    "energies per atom of two sizes": (
        lambda: per_atom(of_two_sizes()),
        {},
        "energies that do not grow with the number of atoms",
    ),
    "two sets of labels": (
        lambda: beside(labelled.frames(), 0.25, 0.01),
        {},
        "energy under 'energy' and 'REF_energy' that differ by up to 0.25 eV; forces under "
        "'forces' and 'REF_forces' .* choose with --energy-key and --forces-key",
    ),
    "two names": (half_renamed, {}, "frame 20 and 19 more .which has REF_energy"),
    "no cell": (flat_cell, {}, "cell vector .* frame 3"),
}


@pytest.mark.parametrize("name", BAD)
def test_training_data_that_is_bad_is_one_line(name, tmp_path):
    make, options, message = BAD[name]
    path = labelled.write(tmp_path / "data.xyz", make())
    with pytest.raises(DataError, match=message) as error:
        prepare(path, TrainOptions(**options), None)
    assert "\n" not in str(error.value)


GOOD = {
    "molecules": (labelled.frames, {}),
    "trajectory": (near, {}),
    "liquid": (lambda: labelled.frames(30, periodic=True), {}),
    "other names": (
        lambda: renamed(labelled.frames(), my_forces="forces", E="energy"),
        {},
    ),
    "chosen": (
        lambda: renamed(labelled.frames(), energy_dft="energy", energy_xtb="energy"),
        {"energy_key": "energy_xtb"},
    ),
    "trusted": (
        lambda: scaled(labelled.frames(), KCAL, KCAL),
        {"trust_units": True, "max_force": 1e4},
    ),
    "large forces wanted": (lambda: outlier(labelled.frames()), {"max_force": 2e3}),
    "direct needs no energy": (
        lambda: [without([f], "energy", 0)[0] for f in labelled.frames()],
        {"recipe": "direct"},
    ),
    "no stress wanted": (mixed, {"stress_key": "none"}),
    "mixed periodicity": (mixed, {}),
    "labels twice": (lambda: beside(labelled.frames()), {}),
    "labels chosen": (
        lambda: beside(labelled.frames(), energy=0.25),
        {"energy_key": "energy", "forces_key": "forces"},
    ),
    "two sizes": (of_two_sizes, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_training_data_that_is_good_passes(name, tmp_path):
    make, options = GOOD[name]
    path = labelled.write(tmp_path / "data.xyz", make())
    found = prepare(path, TrainOptions(**options), None)
    assert sum(len(p) for p in found.parts.values()) == len(make())
    truth = {i: labelled.labels(f)["forces"] for i, f in enumerate(make())}
    for atoms in found.parts["train"]:
        if name not in ("trusted", "large forces wanted"):
            forces = atoms.calc.results["forces"]
            assert forces == pytest.approx(truth[atoms.info["frame"]], abs=1e-5)


def test_labels_of_the_test_file_have_the_names_of_the_training_file(tmp_path):
    """Two sets of labels that differ: those are taken that the training took."""
    data = labelled.write(tmp_path / "data.xyz", renamed(labelled.frames(), REF_energy="energy"))
    held_out = labelled.frames(25, seed=9)
    truth = [f.calc.results["energy"] for f in held_out]
    test = labelled.write(tmp_path / "test.xyz", beside(held_out, energy=0.25))
    found = prepare(data, TrainOptions(forces_key="forces"), test)
    assert found.summary["labels"]["energy"] == "REF_energy"
    energies = [f.get_potential_energy() for f in found.parts["test"]]
    assert energies == pytest.approx(np.array(truth) + 0.25, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "differs"),
    [("xtb_energy", True), ("kinetic_energy", False), ("energy_weight", False),
     ("dispersion_energy", False), ("energy_per_atom", False)],
)  # fmt: skip
def test_quantities_that_are_no_labels_are_no_second_set(name, differs, tmp_path):
    found = labelled.frames()
    for atoms in found:
        atoms.info[name] = 0.5
    path = labelled.write(tmp_path / "data.xyz", found)
    if differs:
        with pytest.raises(DataError, match=f"'energy' and '{name}' that differ by up to"):
            prepare(path, TrainOptions(), None)
    else:
        assert prepare(path, TrainOptions(), None).summary["labels"]["energy"] == "energy"


def test_training_data_warnings_name_frames(tmp_path):
    path = labelled.write(tmp_path / "data.xyz", mixed())
    found = prepare(path, TrainOptions(stress_key="none"), None).warnings
    assert any("T T F in 1 (first: 4)" in w for w in found)
    odd = labelled.frames()
    odd[13].calc.results["energy"] += 90.0
    path = labelled.write(tmp_path / "odd.xyz", odd)
    found = prepare(path, TrainOptions(), None).warnings
    assert [w for w in found if "frame 13 stands apart: energy" in w]
    path = labelled.write(tmp_path / "even.xyz", labelled.frames())
    assert not prepare(path, TrainOptions(), None).warnings


def test_data_with_species_that_training_lacks_is_refused(tmp_path):
    path = labelled.write(tmp_path / "data.xyz", labelled.frames())
    other = labelled.frames(20, seed=3)
    other[6].numbers[0] = 16
    test = labelled.write(tmp_path / "test.xyz", other)
    with pytest.raises(DataError, match=r"\(H, O\), got also S in frame 6"):
        prepare(path, TrainOptions(trust_units=True), test)


@pytest.mark.parametrize("content", [None, "", "2\n\nH 0 0 0\n"])
def test_training_data_that_cannot_be_read_is_refused(content, tmp_path):
    path = tmp_path / "data.xyz"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=r"expected .*(frames|structures that ASE reads)"):
        prepare(path, TrainOptions(), None)


def test_force_work_of_near_frames_is_their_energy_difference():
    found = near()
    slope, correlation, pairs = work_ratio(found)
    assert slope == pytest.approx(1.0, abs=0.05)
    assert correlation > 0.95
    assert pairs > 10
    assert work_ratio(scaled(near(), energy=2.0))[0] == pytest.approx(2.0, abs=0.1)
