"""Slabs with molecules on them: recognised whatever their orientation, and what is told of them."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import add_adsorbate, bulk, fcc111, molecule
from surface import nitrogen_on_copper

from halfkick.driver.ipi.system import System
from halfkick.driver.run.systems import RunSystem
from halfkick.driver.study.analysis import bonds, motion, profile, structure, thermo
from halfkick.driver.study.analysis.molecules import find_molecules, stays_molecules
from halfkick.driver.study.analysis.run_data import Frames, Run
from halfkick.driver.study.analysis.slab import empty_axes, find_slab

RNG = np.random.default_rng(0)


def turned(atoms, order):
    """The same with its cell vectors in another order, and turned in space."""
    other = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell[list(order)], pbc=True)
    other.rotate(37.0, (1.0, 2.0, -0.5), rotate_cell=True)
    other.positions += 0.3 * other.cell.sum(axis=0)
    other.wrap()
    return other


def shaken(atoms, count, size=0.05):
    frames = [atoms.copy() for _ in range(count)]
    for frame in frames:
        frame.positions += RNG.normal(scale=size, size=frame.positions.shape)
    return frames


def run_of(frames, velocities=None):
    """A run that wrote these frames, one each ps."""
    times = np.arange(float(len(frames)))
    read = {("positions",): Frames(times, [frames])}
    if velocities is not None:
        moving = [frame.copy() for frame in frames]
        for frame, v in zip(moving, velocities, strict=True):
            frame.arrays["velocities"] = v
        read |= {("velocities",): Frames(times, [moving])}
    run = Run("", None, RunSystem(System(), None), 0.0, read)
    run.__dict__["columns"] = {}
    return run


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("height", [2.8, 4.0, 8.0], ids=["bonded", "above", "flies"])
def test_slab_is_recognised_in_any_orientation(order, height):
    atoms = nitrogen_on_copper(height)
    slab, other = find_slab(atoms), find_slab(turned(atoms, order))
    assert (slab.axis, other.axis) == (2, order.index(2))
    assert slab.surface == other.surface == ("Cu",) and slab.others == other.others == ("N",)
    assert slab.area(atoms) == pytest.approx(other.area(turned(atoms, order)))
    heights = [
        np.sort(np.abs(f.heights(a))) for f, a in ((slab, atoms), (other, turned(atoms, order)))
    ]
    np.testing.assert_allclose(*heights, atol=1e-6)
    layers = np.array([0.0, 1.0]) * 3.61 / np.sqrt(3.0)  # of a lattice constant of 3.61 Å
    np.testing.assert_allclose(np.unique(heights[0].round(4))[:2], layers, atol=1e-3)


def test_slab_is_what_the_template_leaves_open_and_bulk_is_none():
    atoms = nitrogen_on_copper(vacuum=1.5)
    assert find_slab(atoms) is None and empty_axes(atoms) == []
    atoms.pbc = (True, True, False)
    assert find_slab(atoms).axis == 2
    for other, axes in ((bulk("Cu", cubic=True) * 2, []), (molecule("N2"), [0, 1, 2])):
        other.set_cell(other.cell.array if other.cell.rank else 20.0 * np.eye(3))
        assert empty_axes(other) == axes and find_slab(other) is None


@pytest.mark.parametrize("across", [True, False])
def test_slab_lets_a_molecule_fly_away_where_it_is_open(across):
    """Where the vacuum is periodic, it comes back from below."""
    atoms = nitrogen_on_copper(pbc=(True, True, across))
    slab, before = find_slab(atoms), find_slab(atoms).heights(atoms)
    atoms.positions[-2:, 2] += 6.0
    moved = slab.heights(atoms) - before
    np.testing.assert_allclose(moved[:-2], 0.0, atol=1e-9)
    np.testing.assert_allclose(moved[-2:], 6.0 - across * atoms.cell[2, 2])


def test_density_profile_holds_all_atoms_where_they_are():
    atoms = nitrogen_on_copper()
    copper, nitrogen = profile.curves(run_of(shaken(atoms, 16)))
    assert (copper.name, nitrogen.name) == ("Cu", "N")
    area, width = find_slab(atoms).area(atoms), copper.x[1] - copper.x[0]
    for curve, count in ((copper, 12), (nitrogen, 2)):
        assert curve.y.sum() * width * area == pytest.approx(count)
    for x in curve.x[curve.y > 0]:
        assert x > copper.x[copper.y > 0].max()  # on the one side
    assert np.isfinite(copper.error).all()
    assert profile.curves(run_of(shaken(bulk("Cu", cubic=True) * 2, 4))) == []


def test_pair_distances_do_not_depend_on_the_vacuum_as_radial_distributions_do():
    edges = np.arange(0.0, 4.0, 0.1)
    near, far = nitrogen_on_copper(), nitrogen_on_copper(vacuum=14.0)
    for pair, count in ((("N", "N"), 1), (("Cu", "Cu"), 12 * 12 / 2 - 2 * 4 * 3 / 2)):
        found = [structure.pair_distances([[a]], edges)[pair][0] for a in (near, far)]
        np.testing.assert_allclose(*found)
        assert found[0][edges[1:] < 3.0].sum() * 0.1 == pytest.approx(count)
        g = [structure.radial_distributions([[a]], edges)[pair].max() for a in (near, far)]
        assert g[1] > 1.4 * g[0]
    groups = {c.group for c in structure.curves(run_of(shaken(near, 4)))}
    assert groups == {"pair distances"}
    (curve,) = structure.curves(run_of(shaken(bulk("Cu", cubic=True) * 2, 4)))
    assert curve.group == "radial distribution"


@pytest.mark.parametrize("height", [2.8, 4.0])
def test_bond_lengths_are_those_of_what_is_adsorbed(height):
    """Also where it is bonded to the slab; and the twin, a slab alone, has none."""
    atoms = nitrogen_on_copper(height)
    (length,) = bonds.scalars(run_of(shaken(atoms, 400, 0.02)))
    assert length.name == "bond length(N-N)"
    assert abs(length.value - atoms.get_distance(-1, -2)) < 4 * length.error + 1e-3 < 0.01
    (curve,) = bonds.curves(run_of(shaken(atoms, 400, 0.02)))
    area = curve.y.sum() * (curve.x[1] - curve.x[0])
    assert area == pytest.approx(1.0)
    mean = (curve.x * curve.y).sum() / curve.y.sum()
    spread = np.sqrt((curve.y * (curve.x - mean) ** 2).sum() / curve.y.sum())
    assert spread == pytest.approx(0.02 * np.sqrt(2.0), rel=0.15)
    broken = shaken(atoms, 40, 0.02)
    for frame in broken[20:]:
        frame.positions[-1, 2] += 1.5
    (curve,) = bonds.curves(run_of(broken))
    assert curve.y.sum() * (curve.x[1] - curve.x[0]) == pytest.approx(0.5)
    assert bonds.curves(run_of(shaken(atoms[:-2], 4))) == []


def test_molecules_of_a_slab_and_of_what_reacts_are_none():
    atoms = nitrogen_on_copper()
    assert find_molecules(atoms) == []  # its slab is no molecule, small as it is
    gas = Atoms("N2", molecule("N2").positions + 3.0, cell=[9] * 3, pbc=True)
    gas += Atoms("N2", molecule("N2").positions + np.array([3.0, 3.0, 6.0]))
    molecules = find_molecules(gas)
    assert len(molecules) == 2
    assert all(stays_molecules(frame, molecules) for frame in shaken(gas, 5, 0.02))
    apart, together = gas.copy(), gas.copy()
    apart.positions[0, 0] += 2.0
    together.positions[:2, 2] += 1.9
    assert not stays_molecules(apart, molecules) and not stays_molecules(together, molecules)
    velocities = RNG.normal(size=(8, 4, 3))
    assert "temperature, rotation" in {
        s.name for s in thermo.by_species(run_of([gas] * 8, velocities))
    }
    reacts = run_of([gas] * 4 + [apart] * 4, velocities)
    assert "temperature, rotation" not in {s.name for s in thermo.by_species(reacts)}


def test_temperatures_of_a_slab_and_of_what_is_adsorbed_are_told_apart():
    slab = fcc111("Cu", (2, 2, 3), vacuum=7.0)
    add_adsorbate(slab, molecule("CO"), 2.8, "ontop")
    atoms = Atoms(slab.symbols, slab.positions, cell=slab.cell, pbc=True)
    masses, kelvin = atoms.get_masses()[:, None], np.where(atoms.symbols == "Cu", 300.0, 900.0)
    drawn = RNG.normal(size=(4000, len(atoms), 3)) * np.sqrt(units.kB * kelvin[:, None] / masses)
    free = len(atoms) / (len(atoms) - 1)  # it counts the centre of mass, which here moves
    found = {s.name: s for s in thermo.by_species(run_of([atoms] * 4000, drawn))}
    assert set(found) == {f"temperature({s})" for s in ("C", "O", "Cu", "C+O")}
    for name, target in (("Cu", 300.0), ("C+O", 900.0)):
        scalar = found[f"temperature({name})"]
        assert scalar.value == pytest.approx(target, rel=0.12)
        assert abs(scalar.value / target - free) < 0.06 + 5.0 * scalar.error / target


def test_diffusion_is_not_told_with_vacuum():
    atoms = nitrogen_on_copper()
    assert motion.scalars(run_of(shaken(atoms, 8))) == []
    assert motion.scalars(run_of(shaken(bulk("Cu", cubic=True) * 2, 8)))
