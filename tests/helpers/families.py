"""Structures for universal models, and what a family's own ASE calculator makes of them."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from halfkick.models.base import Role
from halfkick.models.frames import structure_of


def triclinic() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.set_cell(atoms.cell.array @ [[1.0, 0.1, 0.0], [0.0, 1.05, 0.08], [0.0, 0.0, 0.95]], True)
    atoms.rattle(0.15, seed=1)
    return atoms


def slab() -> Atoms:
    """Periodic in two directions; what is given for the third is not used."""
    atoms = fcc111("Cu", (1, 1, 3), vacuum=6.0)
    atoms.pbc = (True, True, False)
    atoms.rattle(0.1, seed=2)
    return atoms


def ethanol() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.08, seed=3)
    return atoms


def check_equals_calculator(model, calculator, frames, same, role=Role.CONSERVATIVE) -> None:
    """Compare energy, forces and virial of all frames, evaluated in one call, to ``same``.

    Relative for energies and forces above 1 eV and 1 eV/Å.
    """
    results = model.evaluate([structure_of(a) for a in frames], frozenset({role}))
    for atoms, got in zip(frames, results, strict=True):
        atoms = atoms.copy()
        atoms.calc = calculator
        forces = atoms.get_forces()
        np.testing.assert_allclose(got[role].forces, forces, atol=same, rtol=same)
        assert abs(forces).max() > 0.01
        if role is Role.CONSERVATIVE:
            np.testing.assert_allclose(got[role].energy, atoms.get_potential_energy(), rtol=same)
        if atoms.pbc.all() and role in model.capabilities.stress:
            virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
            np.testing.assert_allclose(got[role].virial, virial, atol=20 * same, rtol=same)
            assert abs(virial).max() > 0.01
