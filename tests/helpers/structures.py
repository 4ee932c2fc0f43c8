"""Small structures of many kinds, and files of them as users have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.constraints import FixAtoms

TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3.0)
O_H, O_O = 1.0, 2.75  # Å, in ice


def metal(folder: Path) -> Path:
    atoms = bulk("Cu") * (2, 2, 2)  # a cell that is not upright
    atoms.rattle(0.05, seed=1)
    return written(folder / "cu.vasp", atoms)


def slab(folder: Path) -> Path:
    """Turned, no vector across, its bottom layer fixed."""
    atoms = fcc111("Cu", (2, 2, 3))
    atoms.rotate(20.0, "z", rotate_cell=True)
    plain = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=(True, True, False))
    plain.rattle(0.05, seed=1)
    plain.set_constraint(FixAtoms(np.flatnonzero(atoms.get_tags() == 3)))
    return written(folder / "slab.traj", plain)


def ethanol(folder: Path) -> Path:
    return written(folder / "ethanol.xyz", molecule("CH3CH2OH"), format="xyz")


def water(folder: Path) -> Path:
    """Two frames, of which the last counts."""
    one = molecule("H2O")
    atoms = Atoms(cell=[6.2] * 3, pbc=True)
    for corner in np.ndindex(2, 2, 2):
        atoms += Atoms(one.symbols, one.positions + 3.1 * np.array(corner))
    atoms.rattle(0.02, seed=1)
    return written(folder / "water.extxyz", [atoms * (2, 1, 1), atoms])


def ice(folder: Path) -> Path:
    """Cubic ice: each oxygen of one kind has its hydrogens on two bonds, of the other on two."""
    atoms = bulk("O", "diamond", O_O * 4.0 / np.sqrt(3.0), cubic=True)
    for index, position in enumerate(atoms.positions.copy()):
        bonds = -TETRAHEDRON[2:] if index % 2 else TETRAHEDRON[:2]
        atoms += Atoms("H2", position + O_H * bonds)
    return written(folder / "ice.cif", atoms)


def ion(folder: Path) -> Path:
    h3o = np.vstack([np.zeros(3), 0.98 * TETRAHEDRON[:3]])
    atoms = Atoms("OH3", h3o, cell=[15.0] * 3, pbc=True, info={"charge": 1})
    return written(folder / "ion.xyz", atoms)


def triclinic(folder: Path) -> Path:
    """A left-handed cell."""
    cell = np.array([[1.5, 4.0, 0.3], [4.2, 0.1, 0.8], [0.4, -0.7, 5.1]])
    positions = np.random.default_rng(0).permutation(np.array([*np.ndindex(3, 3, 3)])) / 3.0
    return written(folder / "crystal.xyz", Atoms("C14N13", positions @ cell, cell=cell, pbc=True))


def framework(folder: Path) -> Path:
    """Zn₄O at the corners of a cube, rings of C₆H₄ along its edges."""
    ring = molecule("C6H6")
    nodes = Atoms("OZn4", np.vstack([np.zeros(3), 1.95 * TETRAHEDRON]))
    for axis in range(3):
        linker = ring.copy()
        linker.rotate("z", np.roll([0.0, 0.0, 1.0], axis + 2))
        linker.translate(6.4 * np.roll([1.0, 0.0, 0.0], axis))
        nodes += linker[:10]
    nodes.set_cell([12.8] * 3)
    nodes.set_pbc(True)
    return written(folder / "mof.cif", nodes * (2, 2, 1))


def heavy_water(folder: Path) -> Path:
    path = folder / "d2o.xyz"
    header = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 pbc="T T T"'
    path.write_text(f"4\n{header}\nO 4 4 4\nD 4.96 4 4\nD 3.76 4.93 4\nH 1 1 1\n")
    return path


def atom(folder: Path) -> Path:
    return written(folder / "au.xyz", Atoms("Au"), format="xyz")


def written(path: Path, atoms: Atoms | list[Atoms], **how: str) -> Path:
    ase.io.write(path, atoms, **how)
    return path


STRUCTURES: dict[str, Callable[[Path], Path]] = {
    make.__name__: make
    for make in (metal, slab, ethanol, water, ice, ion, triclinic, framework, heavy_water, atom)
}
