"""Edges with a skin against ASE's neighbour lists, along trajectories made to catch a stale one."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.neighborlist import neighbor_list
from finite import structure_of

from halfkick.models.backends.pet.edges import Edges, VerletList
from halfkick.models.backends.slots import Slots


def triclinic():
    rng = np.random.default_rng(1)
    cell = np.array([[9.0, 0, 0], [2.5, 8.0, 0], [-1.5, 1.0, 10.0]])
    return Atoms("H20O20", rng.random((40, 3)) @ cell, cell=cell, pbc=True)


def tiny():
    return Atoms(
        "CH",
        [[0, 0, 0], [1.2, 1.1, 0.9]],
        cell=[[2.6, 0, 0], [0.4, 2.4, 0], [0, 0.3, 2.9]],
        pbc=True,
    )


def slab():
    atoms = triclinic()
    atoms.pbc = (True, True, False)
    return atoms


def chain():
    atoms = triclinic()
    atoms.pbc = (False, False, True)
    return atoms


def ethanol():
    return molecule("CH3CH2OH")


SYSTEMS = [triclinic, tiny, slab, chain, ethanol]
CUTOFFS = [2.0, 4.5, 6.5]
SKINS = [0.0, 0.3, 1.0, 4.0]


def lists(skin=1.0, cutoff=4.0, capacity=256):
    return Slots(lambda kept: VerletList(cutoff, skin * kept, "cpu"), capacity)


def sort(*columns):
    rows = np.column_stack(columns)
    return rows[np.lexsort(rows.round(6).T)]


def assert_same(atoms, edges, cutoff=4.0):
    """The edges are the pairs within the cutoff, sorted, and each knows the way back."""
    i, j, vectors = neighbor_list("ijD", atoms, cutoff)
    expected = sort(i, atoms.numbers[j], vectors)
    found = sort(edges.centers, edges.neighbors, edges.vectors)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-11)
    assert (edges.centers.diff() >= 0).all()
    assert (edges.vectors[edges.reverse] == -edges.vectors).all()
    assert (edges.reverse[edges.reverse] == torch.arange(len(edges.centers))).all()
    assert (edges.neighbors == edges.numbers[edges.centers[edges.reverse]]).all()


def of(atoms, kept, slot):
    return kept[slot].edges(structure_of(atoms), torch.float64)


def trajectory(atoms, steps=22):
    """Atoms drift and shake, cross the boundary, are wrapped back; the cell breathes and shears."""
    rng = np.random.default_rng(7)
    velocities = rng.normal(scale=0.04, size=atoms.positions.shape)
    for step in range(steps):
        atoms.positions += velocities + rng.normal(scale=0.01, size=velocities.shape)
        if atoms.pbc.any() and step % 3 == 0:
            strain = np.eye(3) + rng.normal(scale=0.004, size=(3, 3))
            # as a barostat does, and as a bad one would: the cell without the atoms
            atoms.set_cell(atoms.cell.array @ strain, scale_atoms=step % 2 == 0)
        if step % 10 == 9:
            atoms.wrap()
        yield atoms


@pytest.mark.parametrize("skin", SKINS)
@pytest.mark.parametrize("cutoff", CUTOFFS)
@pytest.mark.parametrize("make", SYSTEMS)
def test_neighbor_list_agrees_with_ase_along_a_trajectory(make, cutoff, skin):
    kept = lists(skin, cutoff)
    for atoms in trajectory(make()):
        assert_same(atoms, of(atoms, kept, "bead 0"), cutoff)


def test_neighbor_list_kept_too_long_is_caught(monkeypatch):
    """The twin of the test above: its trajectories do make an old list wrong."""
    monkeypatch.setattr(VerletList, "_is_valid", lambda self, _: self._reference is not None)
    kept = lists(0.3)
    with pytest.raises(AssertionError):
        for atoms in trajectory(triclinic()):
            assert_same(atoms, of(atoms, kept, 0))


@pytest.mark.parametrize("shake, scale, looks", [(0.02, 1.0, 1), (0.0, 0.99, 1), (0.3, 1.0, 5)])
def test_neighbor_list_is_made_anew_only_where_pairs_could_be_missing(
    shake, scale, looks, monkeypatch
):
    """Neither small moves nor small changes of the cell with its atoms need a new list."""
    count, build = [], VerletList._build
    monkeypatch.setattr(VerletList, "_build", lambda self, s: (count.append(1), build(self, s)))
    kept, atoms, rng = lists(), triclinic(), np.random.default_rng(0)
    for _ in range(5):
        assert_same(atoms, of(atoms, kept, 0))
        atoms.set_cell(atoms.cell.array * scale, scale_atoms=True)
        atoms.positions += rng.normal(scale=shake, size=atoms.positions.shape)
    assert len(count) == looks


@pytest.mark.parametrize("slot", ["one", None])
def test_neighbor_list_follows_every_change_within_a_slot(slot):
    kept = lists(2.0)
    other_species = triclinic()
    other_species.numbers[:] = 8
    jumped = triclinic()
    jumped.positions[3] += jumped.cell.array[0]
    swapped = triclinic()
    swapped.positions[[0, 1]] = swapped.positions[[1, 0]]
    sheared = triclinic()
    sheared.cell[1, 0] += 0.5
    fewer = triclinic()[:20]
    scenes = [triclinic(), other_species, jumped, swapped, slab(), chain(), triclinic(), sheared]
    for atoms in [*scenes, fewer, tiny(), ethanol(), triclinic()]:
        assert_same(atoms, of(atoms, kept, slot))


def test_neighbor_lists_of_beads_are_kept_apart():
    kept = lists()
    rng = np.random.default_rng(3)
    beads = [triclinic() for _ in range(4)]
    for bead in beads:
        bead.positions += rng.normal(scale=0.3, size=bead.positions.shape)
    for frames in zip(*[trajectory(bead, 10) for bead in beads], strict=True):
        for index, atoms in enumerate(frames):
            assert_same(atoms, of(atoms, kept, ("water", index)))
    assert len(kept) == 4


def test_neighbor_lists_forget_the_slot_used_longest_ago():
    kept = lists(capacity=2)
    for slot in ("a", "b", "a", "c", None):
        assert_same(triclinic(), of(triclinic(), kept, slot))
    assert len(kept) == 2
    assert "a" in kept and "c" in kept and "b" not in kept


def test_neighbor_graphs_joined_stay_apart():
    """Each part has the edges that it has alone, and no edge leads to another part."""
    parts = [of(make(), lists(), None) for make in (triclinic, ethanol, tiny)]
    lone = of(Atoms("H"), lists(), None)
    joined = Edges.join([parts[0], lone, *parts[1:]])
    assert len(joined.numbers) == 40 + 1 + 9 + 2
    owner = joined.systems[joined.centers]
    assert (owner == owner[joined.reverse]).all()
    for k, part in ((0, parts[0]), (2, parts[1]), (3, parts[2])):
        assert (joined.vectors[owner == k] == part.vectors).all()
    assert not (owner == 1).any()


def test_neighbor_edges_have_gradients_by_positions_and_strain():
    """Of half the sum of squared distances, whose gradients are known."""
    edges = Edges.join([of(make(), lists(), None) for make in (triclinic, tiny)]).differentiable()
    energy = 0.5 * (edges.vectors**2).sum()
    found_by_position, by_strain = edges.differentiate(energy, strain=True)
    for k, make in enumerate((triclinic, tiny)):
        i, d = neighbor_list("iD", make(), 4.0)
        by_position = np.zeros((len(make()), 3))
        np.add.at(by_position, i, -2 * d)
        found = found_by_position[edges.systems == k]
        np.testing.assert_allclose(found, by_position, atol=1e-10)
        np.testing.assert_allclose(by_strain[k], d.T @ d, rtol=1e-12)
