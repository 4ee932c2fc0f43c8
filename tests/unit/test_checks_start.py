"""Structures that i-PI starts from are those of the templates, in whatever form they are."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from checked import STANDARD, TRICLINIC, UPRIGHT, accepts, crystal, given, molecule, refuses

from halfkick.driver.ipi.checks import check_input
from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.ipi.structures import read_structures
from halfkick.driver.run.job import prepare
from halfkick.models.errors import HalfkickError


def test_frames_are_one_or_as_many_as_beads(tmp_path):
    frames = [crystal(UPRIGHT) for _ in range(3)]
    refuses(given(tmp_path, frames), "one frame", "got 3", "average")
    refuses(given(tmp_path, frames, beads=4), "one frame or 4", "got 3")
    accepts(given(tmp_path, frames, beads=3))
    accepts(given(tmp_path, frames[:1], beads=4))


def test_positions_are_not_taken_for_velocities(tmp_path):
    start = crystal(UPRIGHT)
    start.set_momenta(np.ones((2, 3)))
    for tag in ("velocities", "momenta"):
        twice = f"{STANDARD['start']} <{tag} mode='ase'> init.xyz </{tag}>"
        refuses(given(tmp_path, start, start=twice), f"<{tag} mode='ase'>", "thermal")
        other = f"{STANDARD['start']} <{tag} mode='ase'> moving.xyz </{tag}>"
        ase.io.write(tmp_path / "moving.xyz", start)
        refuses(given(tmp_path, start, start=other), "moving.xyz")
        thermal = f"{STANDARD['start']} <{tag} mode='thermal' units='kelvin'> 300 </{tag}>"
        accepts(given(tmp_path, start, start=thermal))
        plain = "2\n# velocities{atomic_unit}\nH 0 0 0\nH 0 0 1\n"
        (tmp_path / "velocities.xyz").write_text(plain)
        file = f"{STANDARD['start']} <{tag} mode='xyz'> velocities.xyz </{tag}>"
        accepts(given(tmp_path, start, start=file))


def test_units_of_velocities_that_ipi_does_not_see_are_refused(tmp_path):
    """It looks for letters between the braces."""
    comment = "2\n# velocities{m/s}\nH 0 0 0\nH 0 0 1\n"
    (tmp_path / "velocities.xyz").write_text(comment)
    file = STANDARD["start"] + " <velocities mode='xyz'%s> velocities.xyz </velocities>"
    start = crystal(UPRIGHT)
    refuses(given(tmp_path, start, start=file % ""), "velocities{m/s}", "units=")
    accepts(given(tmp_path, start, start=file % " units='m/s'"))


@pytest.mark.parametrize("other", ["H2O", "OHH2", "HOH", "COH"])
def test_template_has_the_atoms_that_ipi_starts_from(tmp_path, other):
    source = given(tmp_path, molecule("OH2"), template=molecule(other))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(HalfkickError, match="make the template from the start"):
        check_input(source, tmp_path)
    assert sorted(tmp_path.iterdir()) == before
    accepts(given(tmp_path, molecule("OH2"), template=molecule("OH2")))


def test_template_is_compared_with_what_a_force_field_gets(tmp_path):
    active = "<activelist> [1, 2] </activelist>"
    accepts(given(tmp_path, molecule("OH2"), template=molecule("H2"), extra=active))
    refuses(given(tmp_path, molecule("OH2"), template=molecule("OH"), extra=active), "got O")
    labels = f"{STANDARD['start']} <labels mode='manual'> [ 'D', H, 'T' ] </labels>"
    accepts(given(tmp_path, molecule("H3"), start=labels))  # isotopes are hydrogen to a model
    labels = labels.replace("'T'", "C")
    refuses(given(tmp_path, molecule("H3"), start=labels), "atom 3", "<labels>")


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("xyz", "2\n# CELL(abcABC): 9 9 9 90 90 90\nO 0 0 0\nD 0 0 1\n"),
        (
            "pdb",
            "CRYST1    9.000    9.000    9.000  90.00  90.00  90.00  P 1           1\n"
            "ATOM      1    O 1     1       0.000   0.000   0.000  0.00  0.00            0\n"
            "ATOM      2    H 1     1       0.000   0.000   1.000  0.00  0.00            0\nEND\n",
        ),
        (
            "chk",
            "<simulation><system> <beads natoms='2' nbeads='1'> <names shape='(2)'> [ O, H ] "
            "</names> </beads> <cell shape='(3, 3)'> [9, 0, 0, 0, 9, 0, 0, 0, 9] </cell>"
            "</system></simulation>",
        ),
    ],
)
def test_start_is_read_in_each_mode_of_ipi(tmp_path, mode, text):
    start = f"<file mode='{mode}'> started </file>"
    (tmp_path / "started").write_text(text)
    accepts(given(tmp_path, molecule("OH"), start=start))
    refuses(given(tmp_path, molecule("HO"), start=start), "got H for atom 1", "'started'")


def test_restart_is_compared_as_well(tmp_path):
    given(tmp_path, molecule("OH"))
    state = (
        "<beads natoms='2' nbeads='1'> <names shape='(2)'> [ O, H ] </names> </beads>"
        "<cell shape='(3, 3)'> [9, 0, 0, 0, 9, 0, 0, 0, 9] </cell>"
    )
    path = tmp_path / "RESTART"
    text = (tmp_path / "input.xml").read_text()
    first, last = text.index("<initialize"), text.index("</initialize>") + len("</initialize>")
    path.write_text(text[:first] + state + text[last:])
    accepts(IpiInput.read(path))
    path.write_text(path.read_text().replace("[ O, H ]", "[ H, O ]"))
    refuses(IpiInput.read(path), "got O for atom 1")
    path.write_text(path.read_text().replace("9] </cell>", "-9] </cell>"))
    refuses(IpiInput.read(path), "negative")


def test_files_that_are_not_there_are_named(tmp_path):
    file = "<file mode='ase'> nowhere.xyz </file>"
    source = given(tmp_path, molecule("OH"), start=file)
    with pytest.raises(HalfkickError, match=r"'nowhere.xyz' that the input names"):
        prepare(source.path, steps=3, restart=False)
    assert not list(tmp_path.glob("input.steps.xml"))
    check_input(source, tmp_path, alone=True)  # i-PI may run elsewhere
    matrix = "<thermostat mode='gle'> <A mode='file'> A.txt </A> </thermostat>"
    matrix = f"<dynamics mode='nvt'> {matrix} </dynamics>"
    with pytest.raises(HalfkickError, match=r"'A.txt'"):
        check_input(given(tmp_path, molecule("OH"), how=matrix), tmp_path)
    source = given(tmp_path, molecule("OH"))
    (tmp_path / "init.xyz").rename(tmp_path / "other.xyz")
    with pytest.raises(HalfkickError, match=r"'init.xyz'"):
        prepare(source.path, steps=3, restart=False)


def test_structures_are_read_as_ase_does(tmp_path):
    """By hand, for speed; the reference is ASE."""
    some = crystal(TRICLINIC, pbc=[True, False, True])
    some.info.update(charge=-1, note="two words")
    some.set_initial_charges([0.5, -0.5])
    some.set_momenta(np.ones((2, 3)))
    path = tmp_path / "some.xyz"
    ase.io.write(path, [some, some])
    first, second = read_structures(path)
    reference = ase.io.read(path)
    assert first.labels == second.labels == tuple(reference.symbols)
    np.testing.assert_allclose(first.cell, reference.cell.array)
    assert first.pbc == tuple(reference.pbc)
    assert first.info["charge"] == "-1" and first.info["note"] == "two words"
    for name in ("initial_charges", "momenta"):
        np.testing.assert_allclose(first.columns[name], reference.arrays[name])
    ase.io.write(tmp_path / "some.cif", crystal(TRICLINIC))
    (other,) = read_structures(tmp_path / "some.cif")
    assert other.labels == ("H", "H") and all(other.pbc)
