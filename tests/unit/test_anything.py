"""The analytic model for any input is right wherever it is asked."""

import anything
import numpy as np
import pytest
from ase import Atoms
from finite import CONSERVATIVE, DIRECT, structure_of

from halfkick.models.testing.case import Case
from halfkick.models.testing.derivatives import check_derivatives

CELL = [[4.0, 0, 0], [0.5, 5.0, 0], [-0.3, 0.7, 6.0]]
PLACES = np.random.default_rng(3).normal(scale=3.0, size=(5, 3))


@pytest.mark.parametrize("numbers", [[1, 8, 1, 6, 0], [1]])
@pytest.mark.parametrize("pbc", [True, False])
def test_anything_has_the_derivatives_of_its_energy(numbers, pbc):
    atoms = Atoms(numbers, PLACES[: len(numbers)], cell=CELL, pbc=pbc)
    rng = np.random.default_rng(0)
    structures = [structure_of(atoms)]
    check_derivatives(Case(anything.anything(), structures, 1e-7, 1e-9, 1e-4, 3, rng))


def test_anything_is_finite_far_away_and_sees_no_wrapping():
    atoms = Atoms("H5", PLACES + 1e6, cell=CELL, pbc=(True, True, False))
    shifted = atoms.copy()
    shifted.positions[2] += 3 * atoms.cell[0] - atoms.cell[1]
    model = anything.anything(scale=2.0)
    for role in CONSERVATIVE | DIRECT:
        one, other = (
            r[role].forces
            for r in model.evaluate([structure_of(a) for a in (atoms, shifted)], frozenset({role}))
        )
        assert np.isfinite(one).all()
        assert abs(one).max() > 1e-3
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-7)
