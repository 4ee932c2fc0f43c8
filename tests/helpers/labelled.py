"""Labelled frames of water molecules held together by springs, for training at toy size."""

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

BOND, ANGLE = 42.0, 12.0  # eV/Å², of O-H and H-H springs
LENGTH, APART = 0.96, 1.52  # Å
LONE = {1: -13.6, 8: -432.0}  # eV
PAIRS = ((0, 1, BOND, LENGTH), (0, 2, BOND, LENGTH), (1, 2, ANGLE, APART))


def labels(atoms):
    """Energy, forces and stress of the springs."""
    energy = sum(LONE[z] for z in atoms.numbers.tolist())
    forces, virial = np.zeros((len(atoms), 3)), np.zeros((3, 3))
    for first in range(0, len(atoms), 3):
        for i, j, k, length in PAIRS:
            apart = atoms.positions[first + j] - atoms.positions[first + i]
            r = np.linalg.norm(apart)
            energy += 0.5 * k * (r - length) ** 2
            pull = k * (r - length) * apart / r
            forces[first + i] += pull
            forces[first + j] -= pull
            virial += np.outer(pull, apart)
    results = {"energy": energy, "forces": forces}
    if atoms.pbc.all():
        stress = virial / atoms.get_volume()
        results["stress"] = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return results


def frames(count=40, *, periodic=False, seed=0):
    """Molecules rattled and turned at random; periodic ones are two in a box of 6 Å."""
    rng = np.random.default_rng(seed)
    rest = np.array([[0, 0, 0], [0.76, 0.587, 0], [-0.76, 0.587, 0]])
    found = []
    for _ in range(count):
        atoms = Atoms()
        for k in range(1 + periodic):
            turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            place = (rest + rng.normal(scale=0.06, size=(3, 3))) @ turn + 3.0 * k + 1.5
            atoms += Atoms("OHH", place)
        if periodic:
            atoms.cell, atoms.pbc = np.diag([6.0, 6.0, 6.0]), True
        atoms.calc = SinglePointCalculator(atoms, **labels(atoms))
        found.append(atoms)
    return found


def write(path, found):
    """Write frames as extended xyz and return the path."""
    ase.io.write(path, found, format="extxyz")
    return path
