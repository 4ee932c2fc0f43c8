"""Lengths of the bonds within molecules, also of those on a surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray

from ...ipi.trajectories import labels_of_frame
from .molecules import MAX_BOND_STRETCH, bonded_pairs, find_molecules
from .observables import Curve, Scalar, average, blocked
from .run_data import Frames, Run
from .slab import find_slab

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["curves", "molecular_bonds", "scalars"]

BINS = 80
SHORTEST = 0.6  # of the sum of covalent radii


def scalars(run: Run) -> list[Scalar]:
    """Mean length of each kind of bond, Å."""
    return [
        average(f"bond length({kind})", "Å", lengths.mean(axis=1))
        for kind, (_, lengths) in _lengths(run.frames("positions")).items()
    ]


def curves(run: Run) -> list[Curve]:
    """Distribution of the length of each kind of bond, up to where it is no bond any more."""
    distributions = []
    labels = ("length (Å)", "probability density (1/Å)")
    for kind, (radii, lengths) in _lengths(run.frames("positions")).items():
        edges = np.linspace(SHORTEST * radii, MAX_BOND_STRETCH * radii, BINS + 1)

        def measure(
            part: slice, lengths: NDArray[np.float64] = lengths, edges: NDArray[np.float64] = edges
        ) -> NDArray[np.float64]:
            """Of shape (bins,)."""
            counts = np.histogram(lengths[part], edges)[0]
            return counts / (max(lengths[part].size, 1) * (edges[1] - edges[0]))

        y, error = blocked(len(lengths), measure)
        x = 0.5 * (edges[1:] + edges[:-1])
        distributions.append(Curve("bond length", kind, *labels, x, y, error))
    return distributions


def molecular_bonds(atoms: Atoms) -> NDArray[np.int_]:
    """Pairs of atoms that are bonded in molecules, indices of shape (bonds, 2).

    On a slab those of species that the slab does not consist of, whether they are bonded to it or
    not. None in a network.
    """
    pairs = bonded_pairs(atoms)
    if (slab := find_slab(atoms)) is not None:
        apart = np.isin(labels_of_frame(atoms), slab.others)
        return pairs[apart[pairs].all(axis=1)]
    return pairs if find_molecules(atoms) else pairs[:0]


def _lengths(
    frames: Frames | None,
) -> dict[str, tuple[float, NDArray[np.float64]]]:
    """Kind of bond -> sum of covalent radii, Å, and lengths, Å, of shape (frames, bonds).

    The bonds are those of the first frame; of beads each counts.
    """
    from ase.geometry import find_mic

    if frames is None or frames.beads[0][0].cell.rank not in (0, 3):
        return {}
    first = frames.beads[0][0]
    bonds = molecular_bonds(first)
    if not len(bonds):
        return {}
    lengths = np.concatenate(
        [
            [find_mic(np.subtract(*f.positions[bonds.T]), f.cell, f.pbc)[1] for f in bead]
            for bead in frames.beads
        ],
        axis=1,
    )
    labels = np.array(labels_of_frame(first))
    kinds = np.array(["-".join(sorted(labels[bond])) for bond in bonds] * len(frames.beads))
    radii = np.tile(covalent_radii[first.numbers[bonds]].sum(axis=1), len(frames.beads))
    return {
        kind: (float(radii[kinds == kind][0]), lengths[:, kinds == kind])
        for kind in sorted(set(kinds.tolist()))
    }
