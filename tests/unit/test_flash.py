"""FlashMD without i-PI: what an input may say, energies kept, energies without a gradient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import springs
from waters import water

from halfkick.driver.errors import InputError
from halfkick.driver.flash.ipi import run as run_ipi
from halfkick.driver.ipi.checks import check_input
from halfkick.driver.ipi.input import IpiInput
from halfkick.models.base import Role
from halfkick.models.errors import ModelError
from halfkick.models.flash.energy import with_kinetic_energy
from halfkick.models.flash.network import FlashNetwork
from halfkick.models.frames import structure_of
from halfkick.models.load import load_model


def read(folder: Path, *changes: tuple[str, str], **given: str) -> IpiInput:
    xml = springs.write(folder, **given)
    for old, new in changes:
        assert old in xml
        xml = xml.replace(old, new)
    (folder / "input.xml").write_text(xml)
    return IpiInput.read(folder / "input.xml")


def test_flash_input_says_what_moves_the_atoms(tmp_path):
    source = read(tmp_path, ensemble="nvt", more=", rescale: species, rotate: off, max_move: off")
    flash = source.flash
    assert (flash.energy, flash.fallback, flash.flash) == ("energy", ("slow", "fast"), "flash.pt")
    assert (flash.rescale, flash.rotate, flash.max_move) == ("species", False, np.inf)
    assert source.inner_steps == 1
    check_input(source, tmp_path)


WEIGHTS = "<force forcefield='fast' weight='0'> <mts_weights> [-1, 1]"
REFUSALS = [
    (("nbeads='1'", "nbeads='2'"), "got 2 beads"),
    (("mode='nve'", "mode='npt'"), "got <dynamics mode='npt'>"),
    (("mode='dynamics'", "mode='minimize'"), "got <motion mode='minimize'>"),
    (("mode='langevin'", "mode='svr'"), "got <thermostat mode='svr'>"),
    (("<dynamics ", "<dynamics splitting='baoab' "), "got splitting='baoab'"),
    (("<motion mode='dynamics'>", "<motion mode='dynamics'> <fixatoms> [0] </fixatoms>"),
     "got <fixatoms>"),
    ((WEIGHTS, WEIGHTS.replace(" weight='0'", "")), "got 'fast' beside it without weight='0'"),
    ((WEIGHTS, WEIGHTS.replace("-1", "0")), "got mts_weights that add up to 2, not 1"),
    (("potential{electronvolt}", "pressure_md"), "got 'pressure_md'; leave it out"),
    (("velocities{ase}", "forces{ase}"), "got 'forces'; leave it out"),
    ((", flash: flash.pt", ""), "expected 'flash' in <parameters>"),
    ((", flash: flash.pt", ", flash: flash.pt, rescale: all"), "got 'all'"),
    ((", flash: flash.pt", ", flash: flash.pt, max_error: -1"), "for max_error, got '-1'"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), REFUSALS, ids=[said for _, said in REFUSALS])
def test_flash_input_of_another_kind_is_refused(tmp_path, change, said):
    source = read(tmp_path, change, ensemble="nvt" if "svr" in change[1] else "nve")
    with pytest.raises(InputError, match="expected") as refused:
        check_input(source, tmp_path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_network_of_another_step_or_other_masses_or_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = read(tmp_path, ("> 8 </timestep>", "> 4 </timestep>")).path
    with pytest.raises(InputError, match=r"<timestep> 8 fs, the stride of 'flash\.pt', got 4 fs"):
        run_ipi(path)
    network = FlashNetwork("flash.pt")
    masses = np.array([15.999, 2.014])
    with pytest.raises(ModelError, match=r"a mass of 1\.0080 amu for atomic number 1"):
        network.check(np.array([8, 1]), masses)
    with pytest.raises(ModelError, match=r"got \[6\]; train a network on runs of this system"):
        network.check(np.array([8, 6]), masses)
    (tmp_path / "flash.pt").unlink()
    with pytest.raises(InputError, match=r"expected the network 'flash\.pt'"):
        run_ipi(path)


def test_kinetic_energy_is_as_wanted_and_nothing_else_moves():
    rng = np.random.default_rng(0)
    masses = np.where(np.arange(30) % 3, 1.0, 16.0)
    p = rng.normal(size=(30, 3)) * masses[:, None] ** 0.5
    before = (p**2 / masses[:, None]).sum() / 2.0
    weights = np.where(masses > 2.0, 0.0, 1.0)  # heavy ones are known exactly
    for wanted in (0.9 * before, before, 1.2 * before):
        alike = with_kinetic_energy(p, masses, wanted)
        mostly_light = with_kinetic_energy(p, masses, wanted, weights)
        for found in (alike, mostly_light):
            assert (found**2 / masses[:, None]).sum() / 2.0 == pytest.approx(wanted, rel=1e-12)
            np.testing.assert_allclose(found.sum(axis=0), p.sum(axis=0), atol=1e-11)
        if wanted != before:
            moved = [np.abs(found - p)[masses > 2.0].max() for found in (alike, mostly_light)]
            assert moved[1] < 0.3 * moved[0]  # not zero: the centre of mass stays
    assert with_kinetic_energy(p, masses, -0.1) is None


@pytest.mark.parametrize("engine", ["edges", "torchscript"])
def test_energies_without_a_gradient_are_the_same(engine):
    model = load_model(f"water?engine={engine}")
    structures = [structure_of(frame) for frame in (water(), water(seed=1))]
    conservative = frozenset({Role.CONSERVATIVE})
    whole = [r[Role.CONSERVATIVE].energy for r in model.evaluate(structures, conservative)]
    assert model.energies(structures) == pytest.approx(whole, abs=1e-3)
    assert len({round(energy, 2) for energy in whole}) == len(whole)
