"""Training data of crystals: stresses that cannot be right, frames of one atom, slabs."""

from functools import cache

import labelled
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from halfkick.models.errors import DataError
from halfkick.models.train.labels.frames import is_isolated
from halfkick.models.train.labels.prepare import prepare
from halfkick.models.train.options import TrainOptions

HARTREE, BOHR, KCAL, EV_A3 = 27.2114, 0.529177, 23.0605, 160.2177
ASE_ORDER = (0, 1, 2, 3, 4, 5)


@cache
def crystal(seed, *, cubic):
    """Copper, strained and rattled at random, with the labels of EMT; of one atom or four."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", "fcc", a=3.65, cubic=cubic)
    atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
    strain = np.eye(3) + 0.02 * rng.normal(size=(3, 3))
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    atoms.calc = EMT()
    stress = atoms.get_stress()
    return atoms, {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}, stress


def crystals(count=30, *, cubic=True, factor=1.0, order=ASE_ORDER, virial=None):
    """Frames with stresses times ``factor``, or ``factor V σ`` under the name ``virial``."""
    found = []
    for seed in range(count):
        atoms, results, stress = crystal(seed, cubic=cubic)
        atoms, stress = atoms.copy(), factor * stress[list(order)]
        if virial is None:
            atoms.calc = SinglePointCalculator(atoms, **results, stress=stress)
        else:
            atoms.calc = SinglePointCalculator(atoms, **results)
            nine = stress[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
            atoms.info[virial] = (nine * atoms.get_volume()).ravel()
        found.append(atoms)
    return found


def prepared(tmp_path, found, **options):
    return prepare(labelled.write(tmp_path / "data.xyz", found), TrainOptions(**options), None)


def stresses(parts):
    """Those of all frames, by their index in the file."""
    everything = [f for frames in parts.values() for f in frames]
    return {f.info["frame"]: f.calc.results.get("stress") for f in everything}


BAD = {
    "kbar of VASP": (
        {"factor": -10 * EV_A3},
        r"got -1\d+ times .* like kbar of the other sign: divide them by -1602.177, pass --trust",
    ),
    "GPa": ({"factor": EV_A3}, "look like GPa: divide them by 160.2177"),
    "bar": ({"factor": 1e4 * EV_A3}, "look like bar: divide"),
    "kcal/mol/Å³": ({"factor": KCAL}, "look like kcal/mol/Å³"),
    "Hartree/Bohr³": ({"factor": BOHR**3 / HARTREE}, "look like Hartree/Bohr³"),
    "sign": ({"factor": -1.0}, "look like eV/Å³ of the other sign"),
    "sign of virials": (
        {"virial": "virial"}, "virials in eV, -V σ, under 'virial' .* like eV of the other sign",
    ),
    "kcal/mol": ({"virial": "virials", "factor": -KCAL}, "look like kcal/mol: divide"),
    "virials": ({"virial": "dft_stress", "factor": -1.0}, "virials, not stresses: change their n"),
    "order of VASP": ({"order": (0, 1, 2, 5, 3, 4)}, "fit .* as xx, yy, zz, xy, yz, xz; write"),
    "order of LAMMPS": ({"order": (0, 1, 2, 5, 4, 3)}, "fit .* as xx, yy, zz, xy, xz, yz; write"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_stresses_that_energies_deny_are_refused(name, tmp_path):
    how, message = BAD[name]
    with pytest.raises(DataError, match=message) as error:
        prepared(tmp_path, crystals(**how))
    assert "\n" not in str(error.value)


GOOD = {
    "stresses": ({}, {}),
    "virials": ({"virial": "virial", "factor": -1.0}, {}),
    "trusted": ({"factor": -1.0}, {"trust_units": True}),
}


@pytest.mark.parametrize("name", GOOD)
def test_stresses_that_energies_bear_out_are_taken(name, tmp_path):
    how, options = GOOD[name]
    found = prepared(tmp_path, crystals(**how), **options)
    assert not found.warnings and not found.notes
    sign = how.get("factor", 1.0) if name == "trusted" else 1.0
    for index, stress in stresses(found.parts).items():
        assert stress == pytest.approx(sign * crystal(index, cubic=True)[2], abs=1e-6)


def test_wrong_stresses_can_be_left_out(tmp_path):
    found = prepared(tmp_path, crystals(factor=-1.0), stress_key="none")
    assert found.summary["stresses"] == {"train": 0, "validation": 0, "test": 0}
    assert "non_conservative_stress" not in found.heads


def test_forces_of_cells_that_differ_are_checked(tmp_path):
    """No two frames have the same cell; the work of the stresses is known."""
    found = crystals()
    for atoms in found:
        atoms.calc.results["forces"] = -atoms.calc.results["forces"]
    with pytest.raises(DataError, match="minus the gradient of the energy"):
        prepared(tmp_path, found)


def test_stresses_that_nothing_can_check_are_said_to_be_so(tmp_path):
    """Molecules turned at random in one box; what is far too large is refused all the same."""
    found = prepared(tmp_path, labelled.frames(30, periodic=True))
    assert any("stresses" in n and "could not be checked" in n for n in found.notes)
    large = labelled.frames(30, periodic=True)
    for atoms in large:
        atoms.calc.results["stress"] = 1e4 * EV_A3 * atoms.calc.results["stress"]
    with pytest.raises(DataError, match="convert them from kbar or GPa"):
        prepared(tmp_path, large)


def test_stresses_are_trained_where_there_are_some(tmp_path):
    """Crystals, some with zeros for want of a stress, clusters with none, a slab with one."""
    found = crystals(40)
    found[5].calc.results["stress"] = np.zeros(6)
    found[6].pbc = (True, True, False)
    for atoms in found[10:20]:
        atoms.pbc, atoms.cell = False, None
        del atoms.calc.results["stress"]
    read = prepared(tmp_path, found)
    without = {index for index, stress in stresses(read.parts).items() if stress is None}
    assert without == {5, 6, *range(10, 20)}
    assert sum(read.summary["stresses"].values()) == 28
    assert "stresses left out, of frames not periodic in three directions: 1" in read.notes
    assert "stresses left out, all six numbers zero beside forces: 1" in read.notes


@pytest.mark.parametrize(
    ("cell", "pbc", "isolated"),
    [
        (None, False, True),
        ([15.0, 15.0, 15.0], True, True),
        ([15.0, 15.0, 3.0], [True, True, False], True),
        (bulk("Al", a=4.05).cell, True, False),
        ([[0, 6, 6], [6, 0, 6], [6, 6, 0]], True, True),  # 8.5 Å
        ([[20, 0, 0], [18, 3, 0], [0, 0, 20]], True, False),  # long vectors, near images
        ([3.0, 15.0, 15.0], [True, False, False], False),
    ],
)
def test_an_atom_is_isolated_if_its_images_are_far(cell, pbc, isolated):
    assert is_isolated(Atoms("Al", cell=cell, pbc=pbc), 4.5) is isolated
    assert not is_isolated(Atoms("Al2", [[0, 0, 0], [0, 0, 5.0]], cell=cell), 4.5)


def test_an_atom_within_the_cutoff_of_its_images_is_not_isolated():
    assert is_isolated(Atoms("Al", cell=[11.0] * 3, pbc=True), 4.5)
    assert not is_isolated(Atoms("Al", cell=[11.0] * 3, pbc=True), 12.0)


@pytest.mark.parametrize("box", [False, True])
def test_crystals_of_one_atom_are_frames(box, tmp_path):
    """The baseline is that of the isolated atom, in a periodic box too, else a fit."""
    single, several = crystals(30, cubic=False), crystals(40)
    lone = Atoms("Cu", cell=[16.0] * 3, pbc=True)
    lone.calc = SinglePointCalculator(lone, energy=3.5)
    found = prepared(tmp_path, single + several + [lone] * box)
    assert sum(found.summary["frames"].values()) == 70
    assert any(n.startswith("crystals of one atom") and n.endswith(": 30") for n in found.notes)
    if box:
        assert found.baseline == {29: 3.5}
        assert any(n.startswith("isolated atoms (no") and n.endswith(": 1") for n in found.notes)
    else:
        energies = [crystal(0, cubic=c)[1]["energy"] / n for c, n in ((False, 1), (True, 4))]
        assert found.summary["baseline"].startswith("fit")
        assert found.baseline[29] == pytest.approx(np.mean(energies), abs=0.1)


def test_crystals_of_one_atom_alone_teach_no_forces(tmp_path):
    with pytest.raises(DataError, match=r"expected forces to learn .* got none but zeros"):
        prepared(tmp_path, crystals(30, cubic=False))
