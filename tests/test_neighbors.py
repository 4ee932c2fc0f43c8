"""Neighbour lists with a skin against ASE's, along trajectories made to catch a stale list."""

import metatomic.torch as mta
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.neighborlist import neighbor_list

from halfkick.models.neighbors import NeighborLists


def triclinic():
    rng = np.random.default_rng(1)
    cell = np.array([[9.0, 0, 0], [2.5, 8.0, 0], [-1.5, 1.0, 10.0]])
    return Atoms("H40", rng.random((40, 3)) @ cell, cell=cell, pbc=True)


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


def options(cutoff, full=True):
    return mta.NeighborListOptions(cutoff=cutoff, full_list=full, strict=True, requestor="")


def system_of(atoms):
    pbc = torch.tensor(atoms.pbc)
    cell = torch.tensor(np.where(atoms.pbc[:, None], atoms.cell.array, 0.0))
    numbers = torch.tensor(atoms.numbers, dtype=torch.int32)
    return mta.System(numbers, torch.tensor(atoms.positions), cell, pbc)


def found(atoms, lists, which, slot):
    """Pairs with their vectors, sorted, as the model would see them."""
    system = system_of(atoms)
    lists.add(system, slot)
    block = system.get_neighbor_list(which)
    return sort(block.samples.values.numpy(), block.values.numpy()[:, :, 0])


def expected(atoms, cutoff):
    i, j, shifts, vectors = neighbor_list("ijSD", atoms, cutoff)
    return sort(np.column_stack([i, j, shifts]), vectors)


def sort(pairs, vectors):
    order = np.lexsort(pairs.T)
    return pairs[order], vectors[order]


def assert_same(atoms, lists, which, slot):
    pairs, vectors = found(atoms, lists, which, slot)
    pairs_expected, vectors_expected = expected(atoms, which.cutoff)
    np.testing.assert_array_equal(pairs, pairs_expected)
    np.testing.assert_allclose(vectors, vectors_expected, atol=1e-12)


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
def test_agrees_with_ase_along_a_trajectory(make, cutoff, skin):
    which = options(cutoff)
    lists = NeighborLists([which], skin=skin)
    for atoms in trajectory(make()):
        assert_same(atoms, lists, which, "bead 0")


def test_a_list_that_is_kept_too_long_is_caught():
    """The twin of the test above: its trajectories do make an old list wrong."""
    atoms = triclinic()
    old, _ = expected(atoms, 4.5)
    *_, atoms = trajectory(atoms)
    new, _ = expected(atoms, 4.5)
    assert not np.array_equal(old, new)


@pytest.mark.parametrize("slot", ["one", None])
def test_everything_may_change_within_a_slot(slot):
    which = options(4.0)
    lists = NeighborLists([which], skin=2.0)
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
        assert_same(atoms, lists, which, slot)


def test_beads_keep_their_lists_apart():
    which = options(4.0)
    lists = NeighborLists([which], skin=1.0)
    rng = np.random.default_rng(3)
    beads = [triclinic() for _ in range(4)]
    for bead in beads:
        bead.positions += rng.normal(scale=0.3, size=bead.positions.shape)
    for frames in zip(*[trajectory(bead, 10) for bead in beads], strict=True):
        for index, atoms in enumerate(frames):
            assert_same(atoms, lists, which, ("water", index))
    assert len(lists) == 4


def test_forgets_the_slot_used_longest_ago():
    which = options(4.0)
    lists = NeighborLists([which], capacity=2)
    for slot in ("a", "b", "a", "c", None):
        assert_same(triclinic(), lists, which, slot)
    assert len(lists) == 2
    assert "a" in lists and "c" in lists and "b" not in lists


def test_makes_every_list_asked_for():
    wide, half = options(5.0), options(3.0, full=False)
    lists = NeighborLists([wide, half])
    assert_same(triclinic(), lists, wide, 0)
    pairs, _ = found(triclinic(), lists, half, 0)
    assert 2 * len(pairs) == len(expected(triclinic(), 3.0)[0])


def test_vectors_depend_on_positions_and_cell():
    """The gradient of half the sum of squared distances by strain is the sum of their squares."""
    which = options(4.0)
    atoms = triclinic()
    strain = torch.eye(3, dtype=torch.float64, requires_grad=True)
    system = mta.System(
        torch.tensor(atoms.numbers, dtype=torch.int32),
        torch.tensor(atoms.positions) @ strain,
        torch.tensor(atoms.cell.array) @ strain,
        torch.tensor(atoms.pbc),
    )
    NeighborLists([which]).add(system)
    vectors = system.get_neighbor_list(which).values
    (gradient,) = torch.autograd.grad(0.5 * (vectors**2).sum(), [strain])
    d = vectors.detach().numpy()[:, :, 0]
    np.testing.assert_allclose(gradient.numpy(), d.T @ d, rtol=1e-12)
