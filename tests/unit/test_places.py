"""Structures of one bead or system keep their place, whichever connection they come by."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from halfkick.driver.server.places import Places, upright

CELL = np.array([[9.0, 0, 0], [1.0, 8.0, 0], [-1.0, 0.5, 9.5]])


def start(count: int, spread: float = 1.0) -> np.ndarray:
    """Structures, shape (count, 30, 3), that far from one another."""
    rng = np.random.default_rng(1)
    return rng.random((30, 3)) @ CELL + rng.normal(scale=spread, size=(count, 30, 3))


def steps(positions: np.ndarray, count: int = 12) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    velocities = rng.normal(scale=0.03, size=positions.shape)
    return [positions + step * velocities for step in range(count)]


def wrapped(positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    return positions - np.floor(positions @ np.linalg.inv(cell)) @ cell


def turned(positions: np.ndarray, cell: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    turn = Rotation.random(random_state=seed).as_matrix() * (-1) ** seed
    return positions @ turn, cell @ turn


SEEN = {
    "as it is": lambda p, step: (p, CELL),
    "wrapped": lambda p, step: (wrapped(p, CELL), CELL),
    "turned": lambda p, step: turned(p, CELL, step),
    "in a cell that breathes": lambda p, step: (p * (1 + 1e-3 * step), CELL * (1 + 1e-3 * step)),
}


@pytest.mark.parametrize("how", SEEN)
def test_replicas_keep_their_places_on_any_connection(how):
    places, rng = Places("x", 3 * 5), np.random.default_rng(3)
    found = []
    for step, structures in enumerate(steps(start(5))):
        names = [""] * 5
        for replica in rng.permutation(5) if step else range(5):
            places.release()
            p, cell = SEEN[how](structures[replica], step)
            (names[replica],) = places.find(f"connection {rng.integers(3)}", p[None], cell[None])
        found.append(names)
    assert found == [[f"x, place {replica}" for replica in range(5)]] * len(found)


def test_batches_of_two_systems_keep_their_places():
    places, cells = Places("x", 3 * 6), np.repeat(CELL[None], 3, axis=0)
    for structures in steps(start(6)):
        places.release()
        one, two = (
            places.find("the connection", s, cells) for s in (structures[:3], structures[3:])
        )
        assert one + two == [f"x, place {bead}" for bead in range(6)]


@pytest.mark.parametrize("connections", [1, 3, 6])
def test_beads_that_begin_as_one_have_places_of_their_own(connections):
    """In one batch or one by one, as long as they are asked for together."""
    places, (one,) = Places("x", 3 * 6), start(1)
    beads, cells = np.repeat(one[None], 6, axis=0), np.repeat(CELL[None], 6, axis=0)
    expected = [f"x, place {bead}" for bead in range(6)]
    for structures in steps(beads):
        places.release()
        found = [
            places.find(f"connection {k}", part, cells[: len(part)])
            for k, part in enumerate(np.split(structures, connections))
        ]
        assert [name for names in found for name in names] == expected


def test_a_new_connection_leaves_the_places_of_those_that_stay():
    """Of six connections one came anew, and its bead is where the others are."""
    places, (one,) = Places("x", 12), start(1)
    for names in (range(6), (0, 1, 2, 3, 4, "new")):
        places.release()
        found = [places.find(f"connection {n}", one[None], CELL[None])[0] for n in names]
        assert len(set(found)) == 6


def test_a_place_is_nearest_where_there_are_no_more_of_them():
    places, (first, second) = Places("x", 2), start(2)
    for structure in (first, second):
        places.find("a", structure[None], CELL[None])
    places.release()
    jump = second.copy()
    jump[::2] += 0.5
    assert places.find("b", jump[None], CELL[None]) == ["x, place 1"]


def test_upright_is_the_same_structure_in_a_triangular_cell():
    (positions,) = start(1)
    for seed in range(4):
        found, cell = upright(*turned(positions, CELL, seed))
        np.testing.assert_allclose(found, positions, atol=1e-12)
        np.testing.assert_allclose(cell, CELL, atol=1e-12)
