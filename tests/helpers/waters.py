"""Small boxes of water for tests of models."""

import numpy as np
from ase.build import molecule


def water(side=2, seed=0):
    """``side``³ molecules on a rattled lattice in a triclinic cell."""
    rng = np.random.default_rng(seed)
    box = molecule("H2O")[:0]
    box.cell = 3.1 * side * np.array([[1.0, 0, 0], [0.1, 1.0, 0], [-0.05, 0.15, 1.0]])
    box.pbc = True
    for site in np.ndindex(side, side, side):
        one = molecule("H2O")
        one.rotate(rng.uniform(0, 360), rng.normal(size=3))
        one.translate(np.array(site) / side @ box.cell.array)
        box += one
    box.positions += rng.normal(scale=0.05, size=box.positions.shape)
    return box
