"""Nitrogen over iron that is periodic in two directions, through i-PI in all three ways."""

from __future__ import annotations

from dataclasses import replace

import ase.build
import numpy as np
import pytest
from ase import Atoms
from metatomic_ase import MetatomicCalculator
from simulation import Case, properties, simulate

from halfkick.models.load import find_file

MODEL = "iron_n2"
ABOVE = 1.2
"""Å from the molecule to the image of the slab's other side: nothing, unless it is periodic."""

WAYS = {
    "conservative": Case(roles=("conservative",), strides=(1,), steps=32),
    "direct": Case(roles=("direct",), strides=(1,), steps=32, parameters=", energy: model"),
    "mts": Case(strides=(1, 8), steps=4),
}


IN_TWO, IN_THREE = (True, True, False), (True, True, True)


def slab(pbc: tuple[bool, bool, bool]) -> Atoms:
    """Three layers of (110) and N2 upright over them, in a cell that ends shortly above."""
    atoms = ase.build.bcc110("Fe", (3, 2, 3), 2.844, orthogonal=True)
    x, y = atoms.positions[-1, :2]
    top = atoms.positions[:, 2].max()
    atoms += Atoms("N2", [[x, y, top + 2.0], [x, y, top + 3.115]])
    atoms.positions[:, 2] += 0.1
    atoms.cell[2] = [0, 0, atoms.positions[:, 2].max() + ABOVE]
    atoms = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=pbc)
    atoms.rattle(0.03, seed=1)
    return atoms


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The properties of each way."""
    start = slab(IN_TWO)
    return {
        way: properties(
            simulate(tmp_path_factory.mktemp(way), replace(case, model=MODEL, structure=start))
        )
        for way, case in WAYS.items()
    }


def reference_energy(pbc: tuple[bool, bool, bool]) -> float:
    """By metatomic's own calculator, eV."""
    atoms = slab(pbc)
    atoms.calc = MetatomicCalculator(find_file(MODEL))
    return atoms.get_potential_energy()


@pytest.mark.parametrize("way", WAYS)
def test_slab_does_not_see_its_image(runs, way):
    assert runs[way]["potential"][0] == pytest.approx(
        reference_energy((True, True, False)), abs=2e-3
    )


def test_slab_twin_would_see_its_image():
    assert abs(reference_energy(IN_THREE) - reference_energy(IN_TWO)) > 0.1


def spread(values: dict[str, np.ndarray]) -> float:
    """Of the conserved quantity, meV/atom."""
    return 1e3 * float(np.ptp(values["conserved"])) / len(slab(IN_TWO))


def test_slab_conserves_energy_unless_forces_are_direct_alone(runs):
    found = {way: spread(values) for way, values in runs.items()}
    assert found["conservative"] < 1.0 and found["mts"] < 1.0, found
    assert found["direct"] > 3 * max(found["conservative"], found["mts"]), found
