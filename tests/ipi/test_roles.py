"""Roles, charge, spin and isotopes through real i-PI."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from running import run

from halfkick.models.frames import structure_of

XML = """<simulation verbosity='low' floatformat='%24.16e' sockets_prefix='{prefix}'>
  <output prefix='simulation'>
    <properties filename='out'> [ step, potential{{electronvolt}} ] </properties>
    <trajectory filename='f' format='xyz' stride='1'> forces{{ev/ang}} </trajectory>
    <checkpoint stride='1000'/>
  </output>
  <total_steps> {steps} </total_steps> <prng> <seed> 1 </seed> </prng>
  <ffsocket name='f' mode='unix' pbc='false'> <address> f </address> <latency> 1e-4 </latency>
    <timeout> 60 </timeout>
    <parameters> {{ template: init.xyz, {parameters} }} </parameters> </ffsocket>
  <system>
    <initialize nbeads='1'> <file mode='{mode}'> {start} </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities> </initialize>
    <forces> <force forcefield='f'/> </forces>
    <motion mode='dynamics'> <dynamics mode='nve'>
      <timestep units='femtosecond'> 0.5 </timestep> </dynamics> </motion>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
  </system>
</simulation>
"""


def written(folder: Path, atoms: Atoms, parameters: str, **more: object) -> None:
    ase.io.write(folder / "init.xyz", atoms)
    told = {"steps": 2, "mode": "ase", "start": "init.xyz"} | more
    text = XML.format(prefix=f"{folder}/", parameters=parameters, **told)
    (folder / "input.xml").write_text(text)


def first_energy(folder: Path) -> float:
    return float(np.loadtxt(folder / "simulation.out")[0, 1])


def copper() -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.02, seed=0)
    return atoms


def h3o(**info: object) -> Atoms:
    positions = [[0, 0, 0.1], [0.95, 0, -0.2], [-0.5, 0.85, -0.2], [-0.5, -0.8, -0.25]]
    atoms = Atoms("OH3", np.array(positions) + 5.0, cell=[10.0] * 3, info=info, pbc=False)
    return atoms


@pytest.mark.ipi
def test_forces_with_a_curl_are_not_served_as_conservative(tmp_path):
    written(tmp_path, copper(), "model: ase:curled:Curled?curl=0.02, role: conservative")
    code, _, err = run(tmp_path)
    assert code != 0
    assert "expected conservative forces from model 'curled:Curled'" in err
    assert "meV/Å" in err and "energy_test: off" in err


@pytest.mark.ipi
@pytest.mark.parametrize(
    "parameters",
    [
        "model: ase:curled:Curled?curl=0.0, role: conservative",
        "model: ase:curled:Curled?curl=0.02, role: conservative, energy_test: off",
        "model: ase:curled:Curled?curl=0.02&amp;role=direct, role: direct",
    ],
    ids=["without", "switched off", "as direct"],
)
def test_forces_without_a_curl_or_as_direct_are_served(tmp_path, parameters):
    written(tmp_path, copper(), parameters)
    code, _, err = run(tmp_path)
    assert code == 0, err


@pytest.mark.ipi
def test_the_energy_test_changes_no_number(tmp_path):
    frames = []
    for test in ("on", "off"):
        folder = tmp_path / test
        folder.mkdir()
        written(folder, copper(), f"model: python:toy:toy, role: conservative, energy_test: {test}")
        ase.io.write(folder / "init.xyz", toy_atoms())
        assert run(folder)[0] == 0
        frames.append((folder / "simulation.f_0.xyz").read_text())
    assert frames[0] == frames[1]


def toy_atoms() -> Atoms:
    from toy import atoms

    found = atoms()
    found.wrap()
    return found


MODELS = [
    pytest.param("tblite:GFN2-xTB", marks=pytest.mark.extra("tblite")),
    pytest.param("so3lr", marks=[pytest.mark.extra("so3krates_torch"), pytest.mark.slow]),
]


def of_ase(model: str, atoms: Atoms) -> float:
    """By ASE's own call of the package's calculator."""
    if model == "so3lr":
        from so3krates_torch.calculator.so3 import SO3LRCalculator

        atoms.calc = SO3LRCalculator(default_dtype="float64", r_max_lr=12.0)
    else:
        from tblite.ase import TBLite

        charge = atoms.info.get("charge", 0)
        atoms.calc = TBLite(method="GFN2-xTB", charge=charge, verbosity=0)
    return atoms.get_potential_energy()


@pytest.mark.ipi
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.filterwarnings("ignore")
def test_hydronium_is_served_with_its_charge(tmp_path, model):
    energies = {}
    for name, info, told in (
        ("file", {"charge": 1}, ""),
        ("parameters", {}, ", charge: 1, spin: 1"),
        ("neutral", {}, ""),
    ):
        folder = tmp_path / name
        folder.mkdir()
        written(folder, h3o(**info), f"model: {model}, role: conservative{told}")
        code, _, err = run(folder)
        assert code == 0, err
        energies[name] = first_energy(folder)
    expected = of_ase(model, h3o(charge=1))
    assert energies["file"] == pytest.approx(expected, abs=1e-6)
    assert energies["parameters"] == pytest.approx(energies["file"], abs=1e-9)
    assert energies["neutral"] == pytest.approx(of_ase(model, h3o()), abs=1e-6)
    assert abs(energies["neutral"] - expected) > 1.0


@pytest.mark.ipi
def test_a_charge_beside_a_model_that_cannot_use_it_ends_the_run(tmp_path):
    written(tmp_path, h3o(charge=1), "model: python:toy:toy, role: conservative")
    code, _, err = run(tmp_path)
    assert code != 0 and "got charge=1" in err and "'toy'" in err, err


@pytest.mark.ipi
def test_deuterium_is_hydrogen_for_the_model_and_heavier_for_ipi(tmp_path):
    rows = "O 5 5 5\nD 5.96 5 5\nH 4.76 5.93 5\n"
    atoms = Atoms("OH2", [[5, 5, 5], [5.96, 5, 5], [4.76, 5.93, 5]], cell=[10.0] * 3, pbc=True)
    model = "python:toy:toy, role: conservative"
    written(tmp_path, atoms, f"model: {model}", mode="xyz", start="start.xyz")
    cell = "# CELL(abcABC): 10 10 10 90 90 90 positions{angstrom} cell{angstrom}"
    (tmp_path / "start.xyz").write_text(f"3\n{cell}\n{rows}")
    template = 'Lattice="10 0 0 0 10 0 0 0 10" Properties=species:S:1:pos:R:3 pbc="T T T"'
    (tmp_path / "init.xyz").write_text(f"3\n{template}\n{rows}")
    code, _, err = run(tmp_path)
    assert code == 0, err
    from toy import Toy

    from halfkick.driver.ipi.input import IpiInput
    from halfkick.models.base import Role

    (system,) = IpiInput.read_state(tmp_path / "RESTART").systems
    assert system.masses_in_input == pytest.approx([15.999, 2.0141, 1.008], abs=2e-3)
    (results,) = Toy().evaluate([structure_of(atoms)], frozenset({Role.CONSERVATIVE}))
    assert first_energy(tmp_path) == pytest.approx(results[Role.CONSERVATIVE].energy, abs=1e-9)
    written(tmp_path, atoms, f"model: {model}", start="labels.xyz")
    (tmp_path / "labels.xyz").write_text(f"3\n{template}\n{rows}")
    code, _, err = run(tmp_path)
    assert code == 2 and "expected labels that i-PI reads by mode='ase'" in err
