"""A student that learns in milliseconds: forces along pairs, a linear fit to labelled frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import ase.io
import numpy as np
from toy import pairs

from halfkick.models.base import Capabilities, ForceModel, ForceResult, Role, Structure

TERMS = 3


class PairFit(ForceModel):
    """Direct forces ``Σ c_k x^k d`` over the toy model's pairs; ``x = 1 - r²/c²``."""

    name = "pairfit"
    capabilities = Capabilities(frozenset({Role.DIRECT}))

    def __init__(self, path: Path) -> None:
        self.coefficients = np.loadtxt(path)

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        results = []
        for structure in structures:
            forces = np.tensordot(basis(structure), self.coefficients, axes=1)
            results.append({Role.DIRECT: ForceResult(0.0, forces, np.zeros((3, 3)))})
        return results


def basis(structure: Structure) -> np.ndarray:
    """Forces of each term, shape (N, 3, TERMS)."""
    i, j, d = pairs(structure)
    x = 1.0 - (d**2).sum(axis=1) / 2.5**2
    terms = d[:, :, None] * x[:, None, None] ** np.arange(TERMS)
    forces = np.zeros((len(structure.positions), 3, TERMS))
    np.add.at(forces, i, terms)
    np.add.at(forces, j, -terms)
    return forces


def teach(data: Path, out: Path, minutes: float, start: Path | None, work: Path) -> None:
    """Fit to the frames of ``data``."""
    rows, targets = [], []
    for atoms in ase.io.iread(data):
        structure = Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
        rows.append(basis(structure).reshape(-1, TERMS))
        targets.append(atoms.get_forces().ravel())
    fit = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)[0]
    np.savetxt(out, fit)
