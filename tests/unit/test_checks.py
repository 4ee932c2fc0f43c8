"""Inputs that i-PI accepts and computes wrongly are refused at the start, their twins are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ipi.engine.cell import Cell
from ipi.utils.io import read_file
from simulation import Case, write
from toy import Toy, atoms

from halfkick.driver.commands.check import check
from halfkick.driver.ipi.checks import check_input
from halfkick.driver.ipi.initial_state import Start, StructureFiles
from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.ipi.structures import read_structures
from halfkick.driver.run.job import prepare
from halfkick.driver.server.units import BOHR
from halfkick.models.distill.inputs import read_starts
from halfkick.models.distill.store import state_of
from halfkick.models.errors import DataError, HalfkickError
from halfkick.models.frames import read_frames_for
from halfkick.models.load import load_model

INPUT = """<simulation> %(fields)s %(smotion)s <system>
    <initialize nbeads='%(beads)d'> %(start)s </initialize>
    <forces> %(forces)s </forces>
    <motion mode='%(motion)s'> %(how)s </motion>
  </system> </simulation>"""
SOCKET = "<ffsocket name='f' %s> <parameters> {model: %s, role: %s, template: %s} %s </ffsocket>"
STANDARD = {
    "start": "<file mode='ase'> init.xyz </file>",
    "beads": 1,
    "motion": "dynamics",
    "how": "<dynamics mode='nve'/>",
    "forces": "<force forcefield='f'/>",
    "smotion": "",
}
NPT = "<dynamics mode='npt'><barostat mode='isotropic'/></dynamics>"
REMD = "<smotion mode='remd'/>"


def given(
    folder: Path,
    frames: Atoms | list[Atoms],
    *,
    template: Atoms | None = None,
    model: str = "python:toy:toy",
    role: str = "conservative",
    attributes: str = "",
    extra: str = "",
    **parts: object,
) -> IpiInput:
    """An input in a folder, with the files that it names."""
    ase.io.write(folder / "init.xyz", frames)
    named = "init.xyz"
    if template is not None:
        ase.io.write(folder / "template.xyz", template)
        named = "template.xyz"
    field = SOCKET % (attributes, model, role, named, "</parameters>" + extra)
    path = folder / "input.xml"
    path.write_text(INPUT % (STANDARD | {"fields": field} | parts))
    return IpiInput.read(path)


def refuses(source: IpiInput, *words: str) -> None:
    """Both a run and a driver on its own say so, in one line, and leave the folder as it is."""
    before = {path: path.stat().st_mtime_ns for path in source.folder.iterdir()}
    for alone in (False, True):
        with pytest.raises(HalfkickError) as caught:
            check_input(source, source.folder, alone=alone)
        message = str(caught.value)
        assert "\n" not in message and message.startswith("expected ")
        assert all(word in message for word in words), message
    with pytest.raises(HalfkickError):
        prepare(source.path, steps=3, restart=False)
    assert {path: path.stat().st_mtime_ns for path in source.folder.iterdir()} == before


def accepts(source: IpiInput) -> None:
    check_input(source, source.folder)
    check_input(source, source.folder, alone=True)


def ion(**info: object) -> Atoms:
    ammonium = Atoms("NH4", np.eye(5, 3) + 5.0, cell=[10, 10, 10], pbc=False)
    ammonium.info.update(info)
    return ammonium


def with_charges(*charges: float) -> Atoms:
    found = ion()
    found.set_initial_charges(charges)
    return found


def with_moments(*moments: float) -> Atoms:
    found = ion()
    found.set_initial_magnetic_moments(moments)
    return found


CHARGED = [
    (ion(charge=1), "charge=1"),
    (ion(Charge=-1.0), "charge=-1"),
    (ion(total_charge=2), "total_charge=2"),
    (ion(spin=2), "spin=2"),
    (ion(spin=1), "spin=1"),  # eleven electrons: one unpaired
    (ion(multiplicity=2), "multiplicity=2"),
    (with_charges(0.2, 0.2, 0.2, 0.2, 0.2), "initial_charges of +1 in all"),
    (with_moments(1, -1, 0, 0, 0), "initial_magmoms up to 1"),
]
NEUTRAL = [
    ion(charge=0, spin=0, multiplicity=1),
    ion(charge="unknown", spin=None),
    with_charges(-0.4, 0.1, 0.1, 0.1, 0.1),
    with_moments(0, 0, 0, 0, 0),
    Atoms("OH2", np.eye(3), cell=[9, 9, 9], info={"spin": 1}),  # ten electrons: the multiplicity
]


@pytest.mark.parametrize(("structure", "word"), CHARGED, ids=[word for _, word in CHARGED])
def test_a_charged_or_magnetic_template_is_refused(tmp_path, structure, word):
    refuses(given(tmp_path, structure, model="water"), word, "init.xyz")
    silent = ion()
    refuses(given(tmp_path, structure, template=silent, model="water"), word, "init.xyz")
    told = given(tmp_path, structure, model="water", role="conservative, charge: 0, spin: 1")
    if "initial_magmoms" not in structure.arrays:
        accepts(told)


@pytest.mark.parametrize("structure", NEUTRAL)
@pytest.mark.parametrize("model", ["water", "tblite:GFN2-xTB", "python:toy:toy"])
def test_partial_charges_and_closed_shells_are_taken(tmp_path, structure, model):
    accepts(given(tmp_path, structure, model=model))


@pytest.mark.parametrize(
    ("told", "start", "template", "words"),
    [
        ("", ion(charge=1), ion(charge=1), ()),
        ("", ion(charge=1), ion(), ("charge=1", "got none")),
        (", charge: 1", ion(charge=1), ion(), ()),
        ("", ion(charge=1), ion(charge=-1), ("charge=1", "got -1")),
        ("", ion(), ion(charge=-1), ()),
        ("", ion(spin=2), ion(), ("spin=2", "got none")),
        (", spin: 2", ion(spin=2), ion(), ()),
        (", spin: 0", ion(), ion(), ("multiplicity", "got '0'")),
        (", charge: two", ion(), ion(), ("elementary charges", "got 'two'")),
    ],
)
def test_start_and_template_are_of_one_charge_and_spin(tmp_path, told, start, template, words):
    role = f"conservative{told}"
    source = given(tmp_path, start, template=template, model="tblite:GFN2-xTB", role=role)
    refuses(source, *words) if words else accepts(source)


def test_a_charge_that_the_model_is_told_is_taken(tmp_path):
    told = "tblite:GFN2-xTB?charge=1"
    accepts(given(tmp_path, ion(charge=1), model=told))
    refuses(given(tmp_path, ion(charge=2), model=told), "charge=2", "init.xyz")
    accepts(given(tmp_path, ion(spin=1), model="tblite:GFN2-xTB?multiplicity=2"))


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False)])
@pytest.mark.parametrize(
    "moves",
    [
        {"how": NPT},
        {"how": "<dynamics mode='nst'/>"},
        {"motion": "cellopt", "how": ""},
    ],
    ids=["npt", "nst", "cellopt"],
)
def test_a_cell_that_moves_needs_three_periodic_directions(tmp_path, pbc, moves):
    refuses(given(tmp_path, slab(pbc), **moves), " ".join("FT"[p] for p in pbc))
    accepts(given(tmp_path, slab(pbc)))
    accepts(given(tmp_path, slab((True, True, True)), **moves))


def slab(pbc: tuple[bool, ...]) -> Atoms:
    return Atoms("H2", [[0, 0, 4], [1, 0, 4]], cell=[5, 5, 9], pbc=pbc)


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False)])
def test_atoms_are_not_wrapped_where_nothing_is_periodic(tmp_path, pbc):
    wraps = "pbc=' True '"
    refuses(given(tmp_path, slab(pbc), attributes=wraps), "pbc='false'", "'f'")
    accepts(given(tmp_path, slab(pbc)))
    accepts(given(tmp_path, slab((True, True, True)), attributes=wraps))


def test_ipi_wraps_no_atoms_unless_it_is_told():
    from ipi.inputs.forcefields import InputFFSocket

    assert InputFFSocket.attribs["pbc"][1]["default"] is False


def test_tblite_takes_no_slabs(tmp_path):
    refuses(given(tmp_path, slab((True, True, False)), model="tblite:GFN2-xTB"), "T T F")
    accepts(given(tmp_path, slab((True, True, True)), model="tblite:GFN2-xTB"))
    accepts(given(tmp_path, slab((False, False, False)), model="tblite:GFN2-xTB"))


# ---- cells


def crystal(cell: object, pbc: object = True) -> Atoms:
    return Atoms("H2", [[1, 1, 1], [2, 1, 1]], cell=cell, pbc=pbc)


TRICLINIC = np.array([[5.0, 0.3, 0.1], [1.0, 6.0, 0.2], [0.5, 0.7, 7.0]])
TURNED = np.array([[4.7, 1.71, 0.0], [-1.71, 4.7, 0.0], [0.0, 0.0, 9.0]])
UPRIGHT = np.array([[5.0, 0.0, 0.0], [1.0, 6.0, 0.0], [0.5, 0.7, 7.0]])


@pytest.mark.parametrize(
    ("structure", "word"),
    [
        (crystal(TRICLINIC[[1, 0, 2]]), "order b, a, c"),
        (crystal(-np.eye(3) * 5), "order b, a, c"),
        (crystal(UPRIGHT * [1, 1, -1], pbc=[True, True, False]), "order b, a, c"),
        (crystal(TURNED, pbc=[True, True, False]), "xy plane"),
        (crystal(TURNED, pbc=False), "xy plane"),
        (crystal([5, 5, 0], pbc=[True, True, False]), "with a volume"),
        (crystal(None, pbc=False), "expected a cell"),
    ],
)
def test_cells_that_ipi_gets_wrong_are_refused(tmp_path, structure, word):
    refuses(given(tmp_path, structure), word, "'init.xyz'")


@pytest.mark.parametrize(
    "structure",
    [
        crystal(TRICLINIC),
        crystal(TRICLINIC[[1, 2, 0]]),  # right-handed as well
        crystal(TURNED),  # i-PI turns what is periodic
        crystal(UPRIGHT, pbc=[True, True, False]),
        crystal(UPRIGHT + 1e-9, pbc=False),
    ],
)
def test_cells_that_ipi_gets_right_are_as_ipi_has_them(tmp_path, structure):
    source = given(tmp_path, structure)
    accepts(source)
    cell, _ = Start(source.systems[0], StructureFiles(tmp_path)).cell
    own = ipis_cell("ase", tmp_path / "init.xyz")
    np.testing.assert_allclose(cell, np.array(own.h) * BOHR, atol=1e-6)
    volume = abs(np.linalg.det(structure.cell.array))
    assert volume == pytest.approx(own.V * BOHR**3, rel=1e-6)


def ipis_cell(mode: str, path: Path) -> Cell:
    with path.open() as file:
        return read_file(mode, file, dimension="length")["cell"]


@pytest.mark.parametrize(
    ("comment", "cell", "word"),
    [
        ("# CELL(abcABC): 5 6 7 80 90 70", "", None),
        ("# CELL(H): 5 1 0 0 6 1 0 0 7", "", None),
        ("# CELL(H): 5 0 0 1 6 0 0 1 7", "", "xy plane"),
        ("# CELL(H): 5 0 0 0 6 0 0 0 -7", "", "order b, a, c"),
        ("# CELL(GENH): 1 5 0 6 1 0 0 0 7", "", None),  # turned, and its atoms with it
        ("no cell", "", "expected a cell"),
        ("no cell", "<cell mode='abc'> [5, 6, 7] </cell>", None),
        ("no cell", "<cell mode='abcABC'> [5, 6, 7, 80, 90, 70] </cell>", None),
        ("no cell", "<cell> [5, 1, 0, 0, 6, 1, 0, 0, 7] </cell>", None),
        ("no cell", "<cell mode='manual'> [5, 0, 0, 1, 6, 0, 0, 1, 7] </cell>", "xy plane"),
        ("# CELL(H): 5 0 0 1 6 0 0 1 7", "<cell mode='abc'> [5, 6, 7] </cell>", None),
    ],
)
def test_cells_of_ipis_own_files_are_read_as_it_does(tmp_path, comment, cell, word):
    start = f"<file mode='xyz'> plain.xyz </file> {cell}"
    source = given(tmp_path, crystal(5 * np.eye(3)), start=start)
    (tmp_path / "plain.xyz").write_text(f"2\n{comment}\nH 0 0 0\nH 0 0 1\n")
    if word is not None:
        refuses(source, word)
        return
    accepts(source)
    if not cell:
        found, _ = Start(source.systems[0], StructureFiles(tmp_path)).cell
        own = ipis_cell("xyz", tmp_path / "plain.xyz")
        np.testing.assert_allclose(found, np.array(own.h), atol=1e-9)


# ---- what i-PI starts from


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


def molecule(labels: str) -> Atoms:
    return Atoms(labels, np.eye(9, 3)[: len(Atoms(labels))], cell=[9, 9, 9], pbc=False)


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


# ---- levels and energies


def test_strides_that_ipi_ignores_are_refused(tmp_path):
    for mode, nmts in (("nvt-cc", "[1, 4]"), ("nvt-cc", "[2]")):
        how = f"<dynamics mode='{mode}'> <nmts> {nmts} </nmts> </dynamics>"
        refuses(given(tmp_path, molecule("OH"), how=how), "<nmts>")
    for how in (
        "<dynamics mode='nvt-cc'/>",
        "<dynamics mode='nvt'> <nmts> [1, 4] </nmts> </dynamics>",
    ):
        accepts(given(tmp_path, molecule("OH"), how=how))
    driven = "<driven_dynamics mode='eda-nve'> <nmts> %s </nmts> </driven_dynamics>"
    refuses(given(tmp_path, molecule("OH"), motion="driven_dynamics", how=driven % "[2]"), "field")
    accepts(given(tmp_path, molecule("OH"), motion="driven_dynamics", how=driven % "[1, 2]"))


@pytest.mark.parametrize(
    "use",
    [{"smotion": REMD}, {"smotion": f"<smotion mode='multi'> {REMD} </smotion>"}]
    + [{"motion": mode, "how": ""} for mode in ("minimize", "atomswap", "instanton", "neb")],
    ids=["remd", "multi", "minimize", "atomswap", "instanton", "neb"],
)
def test_energies_are_there_where_they_decide(tmp_path, use):
    refuses(given(tmp_path, molecule("OH"), role="direct", **use), "energy: model", "'f'")
    accepts(given(tmp_path, molecule("OH"), role="direct, energy: model", **use))
    accepts(given(tmp_path, molecule("OH"), **use))
    accepts(given(tmp_path, molecule("OH"), role="direct"))
    accepts(given(tmp_path, molecule("OH"), role="direct", motion="vibrations", how=""))
    cancels = "<force forcefield='f'> <mts_weights> [-1, 1] </mts_weights> </force>"
    accepts(given(tmp_path, molecule("OH"), role="direct", forces=cancels, **use))


@pytest.mark.parametrize(
    ("weights", "lacks"),
    [
        ((("[0, 1]", 1.0), ("[1, 0]", -1.0)), False),
        ((("[1, 1]", 0.5), ("[-1, -1]", 1.0)), True),
        ((("[1, 1]", 0.5), ("[-1, 0]", 1.0)), False),
        ((("[1, 1]", 0.0),), False),
    ],
)
def test_weight_of_a_force_is_its_attribute(tmp_path, weights, lacks):
    """Of i-PI's potential, to which a component adds its weight times the sum of its levels."""
    from ipi.inputs.forces import InputForceComponent

    assert "weight" in InputForceComponent.attribs and "weight" not in InputForceComponent.fields
    forces = "".join(
        f"<force forcefield='f' weight='{weight}'> <mts_weights> {levels} </mts_weights> </force>"
        for levels, weight in weights
    )
    source = given(tmp_path, molecule("OH"), role="direct", forces=forces)
    assert (source.without_energy == "f") is lacks


@pytest.mark.parametrize("around", ["ffcommittee", "ffrotations"])
def test_missing_energies_are_noticed_inside_of_others(tmp_path, around):
    path = given(tmp_path, molecule("OH"), role="direct").path
    text = path.read_text().replace("forcefield='f'", "forcefield='all'")
    text = text.replace("<ffsocket", f"<{around} name='all'> <ffsocket")
    path.write_text(text.replace("</ffsocket>", f"</ffsocket> </{around}>"))
    assert IpiInput.read(path).without_energy == "all"
    path.write_text(path.read_text().replace("role: direct", "role: direct, energy: model"))
    assert IpiInput.read(path).without_energy is None


def test_runs_of_the_tests_are_accepted(tmp_path):
    path = write(tmp_path, Case("npt"))
    check_input(IpiInput.read(path), tmp_path)
    assert atoms().cell.handedness > 0


def test_scenarios_are_accepted():
    from importlib.resources import files

    inputs = [Path(str(folder / "input.xml")) for folder in files("halfkick.ipi_inputs").iterdir()]
    inputs = [path for path in inputs if path.is_file()]
    assert len(inputs) == 8
    for path in inputs:
        check_input(IpiInput.read(path), path.parent)


@pytest.mark.parametrize("model", ["python:toy:toy", "ase:ase.calculators.emt:EMT"])
def test_frames_of_a_charge_that_models_do_not_compute_are_refused(tmp_path, model):
    path = tmp_path / "frames.xyz"
    ase.io.write(path, [ion(), ion(charge=1)])
    loaded = load_model(model)
    for read in (
        lambda: read_starts([path], [loaded]),
        lambda: check(model, f"{path}@:", dynamics=0),
        lambda: check("python:toy:toy", f"{path}@1", direct=model, dynamics=0),
    ):
        with pytest.raises(DataError, match=r"got charge=1.*frames.xyz|frames.xyz.*got charge=1"):
            read()
    assert len(read_frames_for(path, "0", models=[loaded])) == 1


def test_starts_are_of_one_charge_each(tmp_path):
    """A student is told of none, so that a composition can have one only."""
    path, other = tmp_path / "frames.xyz", tmp_path / "other.xyz"
    ase.io.write(path, [ion(charge=1), ion(charge=1)])
    ase.io.write(other, [ion(charge=0)])
    teacher = Toy()
    teacher.capabilities = replace(teacher.capabilities, inputs=frozenset({"charge"}))
    assert [state_of(atoms) for atoms in read_starts([path], [teacher])] == [(1.0, 1)] * 2
    with pytest.raises(DataError, match="charge 1, multiplicity 1 and charge 0"):
        read_starts([path, other], [teacher])
