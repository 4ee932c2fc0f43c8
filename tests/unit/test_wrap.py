"""Positions far from the origin come near, without a jump from one step to the next."""

from __future__ import annotations

import numpy as np
import pytest

from halfkick.models.backends.wrap import Images, near_origin
from halfkick.models.base import Structure

CELL = np.array([[6.0, 0, 0], [1.0, 5.0, 0], [-1.0, 0.5, 7.0]])
RNG = np.random.default_rng(1)


def structure(positions, pbc=(True, True, True), cell=CELL) -> Structure:
    return Structure(np.full(len(positions), 8), positions, cell, np.array(pbc))


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, False, False)])
def test_positions_are_moved_by_whole_cells_along_periodic_directions(pbc):
    inside = RNG.random((20, 3))
    images = RNG.integers(-100, 100, (20, 3))
    far = structure((inside + images) @ CELL, pbc)
    expected = (inside + np.where(pbc, 0, images)) @ CELL
    np.testing.assert_allclose(near_origin(far), expected, atol=1e-11)
    np.testing.assert_allclose(Images().near_origin(far), expected, atol=1e-11)


def test_positions_that_are_near_stay_to_the_last_bit():
    near = structure(RNG.normal(scale=2.0, size=(20, 3)))
    assert near_origin(near) is near.positions


def test_positions_follow_each_other_without_a_jump():
    """Atoms shake on the boundary of a cell that breathes, and drift by less than a cell."""
    images, positions = Images(), RNG.integers(-9, 9, (20, 3)) @ CELL
    found = []
    for step in range(30):
        cell = CELL * (1 + 1e-4 * step)
        moved = positions * (1 + 1e-4 * step) + RNG.normal(scale=0.05, size=(20, 3)) + 0.1 * step
        found.append(images.near_origin(structure(moved, cell=cell)))
    assert np.abs(np.diff(found, axis=0)).max() < 0.6
    assert np.abs(found).max() < 3 * np.abs(CELL).max()
