"""What an input tells of a system: its atoms, what is held, which of i-PI's numbers are its own."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ipi.scripting.parsing import read_trajectory
from ipi.utils.units import Elements
from toy import atoms

from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.ipi.trajectories import labels_of_frame, read_frames
from halfkick.driver.run.systems import names_of, systems_of

XML = """<simulation>
  <ffsocket name='other'> <parameters> {template: other.xyz} </parameters> </ffsocket>
  <ffsocket name='own'> <activelist> [0, 1] </activelist>
    <parameters> {template: own.xyz} </parameters> </ffsocket>
  <system> %s <forces> <force forcefield='own'/> </forces> </system>
</simulation>"""
DYNAMICS = """<simulation> %s <system prefix='a'>
  <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
  <motion mode='dynamics'> <dynamics mode='%s'> %s </dynamics> </motion>
</system> </simulation>"""


def one_system(text: str, folder: Path = Path()):
    (system,) = systems_of(IpiInput.parse(text, folder / "input.xml"))
    return system


BEGIN = "<initialize nbeads='2'> %s </initialize>"
STARTS = [
    (BEGIN % "<file mode='ase'> start.xyz </file>", 27),
    (BEGIN % "<file mode='xyz'> start.xyz </file>", 27),
    (BEGIN % "<file mode='pdb'> start.pdb </file>", 27),
    (BEGIN % "<file mode='ase'> start.cif </file>", 27),
    (BEGIN % "<file mode='chk'> RESTART </file>", 5),
    (BEGIN % "<positions mode='manual'> [1, 2, 3, 4, 5, 6] </positions>", 1),
    (BEGIN % "<positions mode='manual' bead='0'> [1, 2, 3, 4, 5, 6] </positions>", 2),
    ("<beads natoms='7' nbeads='1'/>", 7),
    (BEGIN % "<file mode='ase'> gone.xyz </file>", 2),
]


@pytest.mark.parametrize(("start", "count"), STARTS)
def test_atoms_of_a_system_are_counted_where_it_starts(tmp_path, start, count):
    """And not in a template, which may be of a part of it, or of another system."""
    for name, n in (("start.xyz", 27), ("other.xyz", 4), ("own.xyz", 2)):
        ase.io.write(tmp_path / name, atoms()[:n])
    for name in ("start.pdb", "start.cif"):
        ase.io.write(tmp_path / name, atoms())
    restart = "<simulation><system> <beads natoms='5' nbeads='1'/> </system></simulation>"
    (tmp_path / "RESTART").write_text(restart)
    assert one_system(XML % start, tmp_path).n_atoms == count


def test_masses_and_labels_are_those_that_come_last(tmp_path):
    kept = """<beads natoms='2' nbeads='1'> <m shape='(2)'> [ 1822.8885, 29166.216 ] </m>
      <names shape='(2)'> [ H, O ] </names> </beads>"""
    found = one_system(XML % kept).atoms
    np.testing.assert_allclose(found.masses_amu, [1.0, 16.0])
    assert found.labels == ["H", "O"]
    (tmp_path / "chk").write_text(f"<simulation><system> {kept} </system></simulation>")
    given = """<initialize nbeads='1'> <file mode='chk'> chk </file>
      <labels mode='manual'> [D, O] </labels>
      <masses mode='manual' units='dalton' index='0'> 2 </masses> </initialize>"""
    found = one_system(XML % given, tmp_path).atoms
    np.testing.assert_allclose(found.masses_amu, [2.0, 16.0])
    assert found.labels == ["D", "O"]
    assert one_system(XML % "<initialize nbeads='1'/>").atoms is None


MATRIX = "<A shape='(2,2)'> [1, 2, 3, 4] </A> <C shape='(2,2)' units='kelvin'> %s </C>"


@pytest.mark.parametrize(
    ("mode", "matrices", "quantum"),
    [
        ("nm_gle", MATRIX % "[300, 0, 0, 411]", True),
        ("nm_gle_g", MATRIX % "[300, 5, 5, 300]", True),
        ("gle", MATRIX % "[300, 0, 0, 301]", True),
        ("gle", "<C mode='file'> c.txt </C>", True),
        ("gle", MATRIX % "[300, 0, 0, 300]", False),
        ("nm_gle", "<A shape='(2,2)'> [1, 2, 3, 4] </A>", False),
        ("langevin", "<tau units='femtosecond'> 10 </tau>", False),
    ],
)
def test_temperature_of_a_quantum_thermostat_is_remarked(mode, matrices, quantum):
    bath = f"<thermostat mode='{mode}'> {matrices} </thermostat>"
    for text in (bath, f"<thermostat mode='multi'> {bath} </thermostat>"):
        system = one_system(DYNAMICS % ("", "nvt", text))
        assert (f"'{mode}' has a covariance" in system.temperature_remark) == quantum
        assert system.target_K == (None if quantum else 300.0)


@pytest.mark.parametrize(
    ("mode", "covariance", "held"),
    [
        ("nm_gle", "<C shape='(2, 2, 2)'> [600, 0, 0, 600, 700, 1, 1, 900] </C>", True),
        ("nm_gle", "<C shape='(2, 2, 2)'> [600, 0, 0, 601, 700, 1, 1, 900] </C>", False),
        ("gle", "<C shape='(2, 2)'> [600, 0, 0, 700] </C>", False),
        ("nm_gle", "<C mode='file' shape='(2, 2, 2)'> c.txt </C>", False),
    ],
)
def test_temperature_of_centroids_is_the_check_where_they_are_held(mode, covariance, held):
    bath = f"<thermostat mode='{mode}'> {covariance} </thermostat>"
    system = one_system(DYNAMICS % ("", "nvt", bath))
    assert ("that of centroids, temperature(nm=0), is" in system.temperature_remark) == held
    assert ("compare kinetic energies of species" in system.temperature_remark) != held


@pytest.mark.parametrize("fixed", ["", "<hfix> [offdiagonal] </hfix>"])
@pytest.mark.parametrize(
    ("ensemble", "mode", "own"),
    [
        ("nst", "anisotropic", True),
        ("nst", "flexible", True),
        ("npt", "isotropic", False),
        ("nvt", "anisotropic", False),
    ],
)
def test_drift_of_ipis_anisotropic_barostats_is_remarked(ensemble, mode, own, fixed):
    barostat = f"<barostat mode='{mode}'> {fixed} </barostat>"
    assert bool(one_system(DYNAMICS % ("", ensemble, barostat)).conserved_remark) == own


def test_target_temperature_is_none_where_it_changes():
    plain = DYNAMICS % ("", "nvt", "")
    assert one_system(plain).target_K == 300.0
    assert one_system(DYNAMICS % ("", "nve", "")).target_K is None
    exchange = "<smotion mode='remd'> <remd> <stride> 10 </stride> </remd> </smotion>"
    assert one_system(DYNAMICS % (exchange, "nvt", "")).target_K is None
    inside = "<motion mode='t_ramp'/> <motion mode='dynamics'> <dynamics mode='nvt'/> </motion>"
    ramped = plain[: plain.index("<motion")] + f"<motion mode='multi'> {inside} </motion>"
    assert one_system(f"{ramped} </system> </simulation>").target_K is None


@pytest.mark.parametrize("kind", ["t_ramp", "p_ramp", "dummy"])
def test_motions_of_no_atoms_hold_and_free_nothing(kind):
    """What moves atoms counts, not what changes temperature or pressure beside it."""
    inside = f"<motion mode='{kind}'/> <motion mode='dynamics'> %s <dynamics mode='nvt'/> </motion>"
    text = f"<simulation><system> <motion mode='multi'> {inside} </motion></system></simulation>"
    masses = np.ones(4)
    for given, free in (("", 9.0), ("<fixcom> False </fixcom>", 12.0),
                        ("<fixatoms> [1] </fixatoms>", 9.0)):  # fmt: skip
        system = one_system(text % given).system
        assert system.degrees_of_freedom(masses).sum() == pytest.approx(free)
    assert one_system(text % "").system.degrees_of_freedom(np.array([7.0])).sum() == 0.0


def test_systems_are_called_by_their_prefixes():
    def names(*prefixes):
        systems = "".join(f"<system prefix='{prefix}'/>" for prefix in prefixes)
        return names_of(systems_of(IpiInput.parse(f"<simulation>{systems}</simulation>")))

    assert names("a", "b") == ["a", "b"]
    assert names("a", "a") == names("", "") == ["0", "1"]


COMMENT = "# CELL(abcABC): 10 11 12 90 80 70 Step: 7 Bead: 0 %s{%s} cell{angstrom}"
FRAME = "2\n" + COMMENT + "\n%s 1e-3 2e-3 3e-3\nO 0 1 2\n"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # i-PI's open file
@pytest.mark.parametrize(
    ("what", "unit"),
    [("positions", "angstrom"), ("velocities", "atomic_unit"), ("v_centroid", "angstrom/ps"),
     ("forces", "electronvolt/ang"), ("x_centroid", "atomic_unit")],
)  # fmt: skip
def test_frames_are_those_that_ipi_reads(tmp_path, what, unit):
    """Those of labels that ASE does not know are the same, of the element."""
    path = tmp_path / "x.xyz"
    path.write_text(2 * FRAME % (what, unit, "H", what, unit, "H"))
    theirs = read_trajectory(str(path))
    for label in ("H", "D", "T", "C13", "L"):
        path.write_text(2 * FRAME % (what, unit, label, what, unit, label))
        for mine, other in zip(read_frames(path), theirs, strict=True):
            assert labels_of_frame(mine) == [label, "O"]
            assert mine.info == other.info
            for name in other.arrays:
                if name != "numbers":
                    np.testing.assert_allclose(mine.arrays[name], other.arrays[name])
            np.testing.assert_allclose(mine.cell.array, other.cell.array)
        assert mine.symbols[0] == {"H": "H", "C13": "C", "L": "X"}.get(label, "H")
        assert label in Elements.mass_list
