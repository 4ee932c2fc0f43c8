"""Pairs of near frames: how energy differs between them, and the work of forces and stresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

__all__ = ["MIN_PAIRS", "ORDERS", "NearPairs", "Slope", "near_in_strain", "work_ratio"]

MAX_DISPLACEMENT = 0.3  # Å, of an atom between near frames
MAX_SCATTER = 0.6  # Å, the same where cells differ, since few data have more than such pairs
MAX_STRAIN = 0.1
MIN_STRAIN = 1e-4
MIN_PAIRS = 10
MAX_PAIRS = 3000  # that are looked at
STRAIN_LENGTH = 2.0  # Å: a strain of 0.1 counts as far as a displacement of 0.2 Å
PAIRS_PER_FRAME = 2  # of the nearest that are kept
Array = NDArray[np.float64]

ORDERS = {
    "xx, yy, zz, yz, xz, xy": [0, 1, 2, 3, 4, 5],
    "xx, yy, zz, xy, yz, xz": [0, 1, 2, 4, 5, 3],
    "xx, yy, zz, xy, xz, yz": [0, 1, 2, 5, 4, 3],
    "xx, xy, xz, yy, yz, zz": [0, 3, 5, 4, 2, 1],
}
"""Orders of the six numbers of a stress: ASE's, VASP's, LAMMPS's, and of a triangle; for each,
where ASE's are in it."""
MATRIX = [[0, 5, 4], [5, 1, 3], [4, 3, 2]]  # of ASE's order


@dataclass(frozen=True)
class Slope:
    """Energy differences over a work: ``value`` (1 if right), and over its standard error."""

    value: float
    certainty: float


@dataclass(frozen=True)
class NearPairs:
    """Energy differences of p pairs of near frames with different cells, and what they come from.

    Attributes:
        differences: of the energy, eV, shape (p,).
        works: against the forces at a fixed cell, ``-(F₁ + F₂) / 2 · (x₂ - x₁)``, eV, shape (p,).
        strain_works: ``(V₁ σ₁ + V₂ σ₂) / 2 : ε``, eV, by each of ``ORDERS``, each of shape (p,).
        frames: how many are in them.
    """

    differences: Array
    works: Array
    strain_works: dict[str, Array]
    frames: int

    def fit(self, order: str) -> tuple[Slope, Slope, float]:
        """How energies differ with both works, ``ΔE = a W + b S``, by least squares.

        Args:
            order: of the numbers of the stresses, one of ``ORDERS``.

        Returns:
            ``a`` and ``b``, and what is left of the differences (root mean square, eV). Of pairs
            that share frames as many count, for the errors, as there are frames.
        """
        columns = np.stack([self.works, self.strain_works[order]], axis=1)
        scale = np.sqrt((columns**2).mean(axis=0))
        columns = columns / np.where(scale > 0, scale, 1.0)
        fitted, *_ = np.linalg.lstsq(columns, self.differences, rcond=None)
        rest = float(np.sqrt(((self.differences - columns @ fitted) ** 2).mean()))
        freedom = max(min(self.frames, len(columns)) - 2, 1)
        spread = np.sqrt(np.diagonal(np.linalg.pinv(columns.T @ columns / len(columns))) / freedom)
        force, stress = (
            Slope(float(value / size), float(abs(value) / (max(rest, 1e-12) * error)))
            if size > 0 else Slope(1.0, 0.0)
            for value, size, error in zip(fitted, scale, spread, strict=True)
        )  # fmt: skip
        return force, stress, rest


def work_ratio(frames: Sequence[Atoms]) -> tuple[float, float, int] | None:
    """Compare energy differences of near frames with the work of their forces.

    The work against them from frame 1 to 2 is ``-(F₁ + F₂) / 2 · (x₂ - x₁)``, summed over atoms.

    Returns:
        Slope of energy difference against work (1 if both are right), correlation, and number of
        pairs; ``None`` if fewer than ``MIN_PAIRS`` frames that follow each other are near.
    """
    differences: list[float] = []
    works: list[float] = []
    for first, second in pairwise(frames):
        same = len(first) == len(second) and (first.numbers == second.numbers).all()
        if not same or np.abs(first.cell.array - second.cell.array).max() > 1e-6:
            continue
        displacements = second.positions - first.positions
        if not 1e-6 < np.abs(displacements).max() < MAX_DISPLACEMENT:
            continue
        mean = (first.calc.results["forces"] + second.calc.results["forces"]) / 2
        works.append(-(mean * displacements).sum())
        differences.append(second.calc.results["energy"] - first.calc.results["energy"])
    if len(works) < MIN_PAIRS or not np.std(works):
        return None
    x, y = np.array(works), np.array(differences)
    slope = (x @ y) / (x @ x)
    correlation = abs(x @ y) / np.sqrt((x @ x) * max(y @ y, 1e-300))
    return float(slope), float(correlation), len(x)


def near_in_strain(frames: Sequence[Atoms]) -> NearPairs | None:
    """Pairs of frames of the same atoms in different cells, the nearest ones there are.

    Args:
        frames: labelled; those without energy, forces or stress are left out.

    Returns:
        ``None`` if there are fewer than ``MIN_PAIRS``.
    """
    groups: dict[bytes, list[Atoms]] = {}
    for atoms in frames:
        results = atoms.calc.results
        labelled = {"energy", "forces", "stress"} <= results.keys()
        if labelled and np.isfinite(results["energy"]):
            groups.setdefault(atoms.numbers.tobytes(), []).append(atoms)
    found: list[tuple[float, ...]] = []
    for members in groups.values():
        states = [State.of(atoms) for atoms in members]
        for i, j in neighbours(len(members), MAX_PAIRS // len(groups)):
            pair = compare(states[i], states[j])
            if pair is not None:
                found.append((*pair, members[i].info["frame"], members[j].info["frame"]))
    found = sorted(found)[: max(MIN_PAIRS, PAIRS_PER_FRAME * len(frames))]
    if len(found) < MIN_PAIRS:
        return None
    _, differences, works, *strain_works, first, second = np.array(found).T
    by_order = dict(zip(ORDERS, strain_works, strict=True))
    return NearPairs(differences, works, by_order, len({*first, *second}))


def neighbours(count: int, pairs: int) -> Iterator[tuple[int, int]]:
    """About so many pairs of indices below ``count``, those next to each other first."""
    for apart in range(1, count):
        taken = min(count - apart, max(pairs, 1))
        for i in np.linspace(0, count - apart - 1, taken).astype(int).tolist():
            yield i, i + apart
        pairs -= taken
        if pairs <= 0:
            return


@dataclass(frozen=True)
class State:
    """A labelled frame for comparison.

    Attributes:
        cell: rows, Å, shape (3, 3).
        scaled: fractional positions, shape (N, 3).
        energy: eV.
        forces: eV/Å, shape (N, 3).
        tensions: ``V σ`` by each of ``ORDERS``, eV, shape (4, 3, 3).
    """

    cell: Array
    scaled: Array
    energy: float
    forces: Array
    tensions: Array

    @classmethod
    def of(cls, atoms: Atoms) -> State:
        """Take it from a frame that has all labels."""
        results = atoms.calc.results
        stresses = np.stack([results["stress"][order][MATRIX] for order in ORDERS.values()])
        scaled = atoms.get_scaled_positions(wrap=False)
        tensions = atoms.get_volume() * stresses
        return cls(atoms.cell.array, scaled, results["energy"], results["forces"], tensions)


def compare(first: State, second: State) -> tuple[float, ...] | None:
    """Return how far two states are apart (Å), ``ΔE``, ``W`` and each ``S``; ``None`` if far."""
    cell = (first.cell + second.cell) / 2
    strain = np.linalg.solve(cell, second.cell - first.cell)
    if not MIN_STRAIN < np.abs(strain).max() < MAX_STRAIN:
        return None
    moved = second.scaled - first.scaled
    displacements = (moved - np.round(moved)) @ cell
    if np.abs(displacements).max() > MAX_SCATTER:
        return None
    apart = np.sqrt((displacements**2).sum(axis=1).mean())
    apart += STRAIN_LENGTH * np.abs(strain + strain.T).max() / 2
    work = -((first.forces + second.forces) / 2 * displacements).sum()
    strain_works = ((first.tensions + second.tensions) / 2 * strain).sum(axis=(1, 2))
    return apart, second.energy - first.energy, work, *strain_works
