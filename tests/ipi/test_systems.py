"""Several systems in one run: atoms, temperatures and drifts are what i-PI makes of each."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
import pytest
from running import finish, halfkick, run, summary
from toy import atoms

from halfkick.driver.commands.compare import compare
from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.ipi.properties import read_columns
from halfkick.driver.study.analysis import thermo
from halfkick.driver.study.analysis.report import analyze
from halfkick.driver.study.analysis.run_data import open_groups, open_runs

N = 27
KELVIN = 300.0
ISOTOPES = np.where(atoms().numbers == 1, 2.014, 15.999)
FIXED = "<fixatoms> [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13] </fixatoms>"
NVE = "<dynamics mode='nve'> <timestep units='femtosecond'> 0.5 </timestep> </dynamics>"
HELD = f"<ensemble> <temperature units='kelvin'> {KELVIN} </temperature> </ensemble>"


class Way(NamedTuple):
    """A way to have other degrees of freedom or masses than usual.

    Attributes:
        motion: in ``<motion>``, beside the dynamics.
        start: in ``<initialize>``, before the velocities.
        file: that it starts from.
        fixed: degrees of freedom that i-PI adds at the temperature of the ensemble.
    """

    motion: str = ""
    start: str = ""
    file: str = "<file mode='ase'> init.xyz </file>"
    ensemble: str = HELD
    dynamics: str = NVE
    fixed: int = 3


WAYS = {
    "plain": Way(),
    "free": Way("<fixcom> False </fixcom>", fixed=0),
    "atoms": Way(FIXED, fixed=42),
    "single": Way("<fixatoms_dof> [0, 4, 80] </fixatoms_dof>"),
    "centroids": Way(dynamics=NVE.replace("'nve'", "'nvt-cc'"), fixed=3 * N),
    "isolated": Way(ensemble="", fixed=0),
    "masses": Way(start=f"<masses mode='manual' units='dalton'> {ISOTOPES.tolist()} </masses>"),
    "column": Way(file="<file mode='ase'> column.xyz </file>"),
    "label": Way(file="<file mode='xyz'> label.xyz </file>"),
    "one": Way(start="<masses mode='manual' index='1'> 5000 </masses>"),
}
NAIVE = {"plain", "single"}
"""Those that are right as well if three degrees are missing and masses are those of elements."""

XML = """<simulation verbosity='low' floatformat='%24.16e' sockets_prefix='{folder}/'>
  <output prefix='o'>
    <properties filename='out'> [ step, time{{picosecond}}, conserved{{electronvolt}},
      temperature{{kelvin}}, kinetic_md{{electronvolt}} ] </properties>
    <properties filename='each'> [ step, temperature(0){{kelvin}}, temperature(1){{kelvin}} ]
    </properties>
    <trajectory filename='v' format='xyz'> velocities </trajectory>
  </output>
  <total_steps> 4 </total_steps> <prng> <seed> 7 </seed> </prng>
  <ffsocket name='small' mode='unix'> <address> small </address> <latency> 1e-4 </latency>
    <parameters> {{model: python:toy:toy, role: conservative, template: small.xyz}} </parameters>
  </ffsocket>
  <ffsocket name='toy' mode='unix'> <address> toy </address> <latency> 1e-4 </latency>
    <parameters> {{model: python:toy:toy, role: conservative, template: init.xyz}} </parameters>
  </ffsocket>
  {systems}
</simulation>"""
SYSTEM = """<system prefix='{name}'>
    <initialize nbeads='1'> {way.file} {way.start}
      <velocities mode='thermal' units='kelvin'> 400 </velocities> </initialize>
    <forces> <force forcefield='{field}'/> </forces> {way.ensemble}
    <motion mode='dynamics'> {way.motion} {way.dynamics} </motion>
  </system>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run with a system of each kind, and a smaller one whose force field stands first."""
    folder = tmp_path_factory.mktemp("systems")
    structure = atoms()
    ase.io.write(folder / "init.xyz", structure)
    ase.io.write(folder / "small.xyz", small := atoms(side=3)[:8])
    small.set_cell(structure.cell)
    ase.io.write(folder / "small.xyz", small)
    label_as_deuterium(structure, folder / "label.xyz")
    structure.set_masses(ISOTOPES)
    columns = ["symbols", "positions", "masses"]
    ase.io.write(folder / "column.xyz", structure, columns=columns)
    systems = [SYSTEM.format(name=name, way=way, field="toy") for name, way in WAYS.items()]
    few = Way(file="<file mode='ase'> small.xyz </file>")
    systems.append(SYSTEM.format(name="few", way=few, field="small"))
    text = XML.format(folder=folder, systems="\n  ".join(systems))
    (folder / "input.xml").write_text(text)
    code, out, err = run(folder)
    assert code == 0, err + (folder / "driver.log").read_text()
    (folder / "said").write_text(out)
    return folder


def label_as_deuterium(structure: ase.Atoms, path: Path) -> None:
    """Write a structure as i-PI does, all its hydrogen as D."""
    cell = " ".join(f"{value:.10f}" for value in structure.cell.array.T.flatten())
    labels = ["D" if symbol == "H" else symbol for symbol in structure.symbols]
    places = zip(labels, structure.positions, strict=True)
    rows = [f"{label} {x:.8f} {y:.8f} {z:.8f}" for label, (x, y, z) in places]
    head = f"# CELL{{H}}: {cell} positions{{angstrom}} cell{{angstrom}}"
    path.write_text("\n".join([str(len(structure)), head, *rows]) + "\n")


@pytest.fixture(scope="module")
def runs(folder):
    """From the first step on: what the input starts from may move what is fixed."""
    return {run.system.name: run for run in open_runs(folder, skip_ps=4e-4)}


@pytest.mark.parametrize("name", WAYS)
def test_temperatures_of_species_add_up_to_that_of_ipi(runs, name):
    """By degrees of freedom: i-PI adds what is fixed at the temperature of the ensemble."""
    measured, way = runs[name], WAYS[name]
    printed = measured.columns["temperature"].mean()
    frame = measured.frames("velocities").beads[0][0]
    free = measured.system.system.degrees_of_freedom(frame.get_masses())
    labels = np.array(frame.arrays.get("labels", frame.get_chemical_symbols()))
    found = {s.species: s.value for s in thermo.by_species(measured) if s.species}
    moving = sum(kelvin * free[labels == label].sum() for label, kelvin in found.items())
    assert 3 * N - free.sum() == pytest.approx(3 if name == "isolated" else way.fixed)
    assert measured.degrees_of_freedom == round(free.sum())
    assert (moving + KELVIN * way.fixed) / (3 * N) == pytest.approx(printed, rel=1e-5)
    naive = 2.0 * kinetic(measured, atoms().get_masses()).mean() / (3 * N - 3) / thermo.kB
    right = naive * (3 * N - 3) + KELVIN * 3
    assert (right / (3 * N) == pytest.approx(printed, rel=1e-5)) == (name in NAIVE)  # the twin


@pytest.mark.parametrize("name", WAYS)
def test_temperatures_of_atoms_are_those_of_ipi(folder, runs, name):
    """One by one, of an O and of an H: its fixed part at the temperature of the ensemble."""
    measured, way = runs[name], WAYS[name]
    frames = measured.frames("velocities")
    masses = frames.beads[0][0].get_masses()
    free = measured.system.system.degrees_of_freedom(masses)
    printed = read_columns(folder / f"{name}_o.each")
    of_atoms = masses[:, None] * frames.array("velocities") ** 2 / thermo.kB
    held = KELVIN if way.ensemble else 0.0
    for atom in (0, 1):
        kelvin = (of_atoms[:, atom].sum(axis=-1) + held * (3.0 - free[atom])) / 3.0
        np.testing.assert_allclose(kelvin, printed[f"temperature({atom})"][1:], rtol=1e-5)


def kinetic(measured, masses):
    """Of each frame, shape (frames,), eV."""
    velocities = measured.frames("velocities").array("velocities")
    return 0.5 * (masses[:, None] * velocities**2).sum(axis=(1, 2))


def test_atoms_are_those_that_ipi_starts_from(folder):
    """What it writes to RESTART: the labels and masses that it has read itself."""
    begun, state = (IpiInput.read(folder / name).systems for name in ("input.xml", "RESTART"))
    for mine, theirs in zip(begun, state, strict=True):
        one, other = (system.read_start(folder) for system in (mine, theirs))
        assert list(one.labels) == list(other.labels)
        np.testing.assert_allclose(one.masses_amu, other.masses_amu, rtol=1e-9)
        assert mine.count_atoms(folder) == theirs.count_atoms(folder) == len(one.labels)
    masses = {system.prefix: system.read_start(folder).masses_amu for system in begun}
    assert {round(float(m), 3) for m in masses["label"]} == {2.014, 15.999}
    assert not np.allclose(masses["one"], masses["plain"])  # the twin: they do differ
    assert len(masses["few"]) == 8


def test_masses_are_those_of_restart_where_the_start_is_gone(folder, tmp_path):
    for path in folder.iterdir():
        if path.is_file() and not path.name.endswith((".xyz", ".png")):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    kept = {run.system.name: run for run in open_runs(tmp_path)}
    assert kept["masses"].system.atoms is None
    np.testing.assert_allclose(kept["masses"].masses, ISOTOPES, rtol=1e-6)


def test_summary_and_watch_tell_each_system(folder):
    told = summary(folder)["systems"]
    assert list(told) == [*WAYS, "few"]
    for name in told:
        rows = read_columns(folder / f"{name}_o.out")
        n = 8 if name == "few" else N
        drift = np.polyfit(rows["time"], rows["conserved"] / n * 1e3, 1)[0]
        assert told[name]["temperature_K"] == pytest.approx(rows["temperature"].mean())
        assert told[name]["drift_meV_per_atom_ps"] == pytest.approx(drift, rel=1e-6, abs=1e-6)
    said = (folder / "said").read_text()
    assert "few: temperature: " in said and "52% of it the target's" in said
    code, out, _ = finish(halfkick(folder, "watch", "--once"))
    assert code == 0 and "4 of 4" in out and " to " in out and "meV/atom of " in out


def test_analyze_and_compare_show_each_system(folder):
    report = analyze(open_groups([folder, folder]))
    assert [len(a.runs) for a in report.analyses] == [2] * (len(WAYS) + 1)
    label = report.analyses[list(WAYS).index("label")]
    assert label.scalar("temperature(D)") is not None and label.scalar("temperature(H)") is None
    share = {"atoms": "52%", "single": "4%"}
    for remark, (name, part) in zip(report.remarks, share.items(), strict=True):
        both = "+".join([f"{folder} {name}"] * 2)
        assert remark.startswith(f"{both}: temperature: {part} of it the target's: i-PI")
    compare([folder], folder / "compare.png")
    assert (folder / "compare.png").read_bytes().startswith(b"\x89PNG")
