"""Nitrogen over iron that is periodic in two directions: the model that ships, through i-PI."""

from __future__ import annotations

import ase.build
import pytest
from ase import Atoms
from metatomic_ase import MetatomicCalculator
from simulation import Case, properties, simulate

from halfkick.models.load import find_file

MODEL = "iron_n2"
ABOVE = 1.2
"""Å from the molecule to the image of the slab's other side: nothing, unless it is periodic."""

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


def reference_energy(pbc: tuple[bool, bool, bool]) -> float:
    """By metatomic's own calculator, eV."""
    atoms = slab(pbc)
    atoms.calc = MetatomicCalculator(find_file(MODEL))
    return atoms.get_potential_energy()


def test_slab_does_not_see_its_image(tmp_path):
    case = Case(strides=(1, 8), steps=2, model=MODEL, structure=slab(IN_TWO))
    found = properties(simulate(tmp_path, case))
    assert found["potential"][0] == pytest.approx(reference_energy(IN_TWO), abs=2e-3)
    assert abs(reference_energy(IN_THREE) - reference_energy(IN_TWO)) > 0.1  # it would
