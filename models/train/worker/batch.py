"""Labelled frames as tensors, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from ...backends.pet.edges import Edges, VerletList
from ...base import Structure

__all__ = ["Batch", "Frame", "random_rotations"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One configuration of n atoms; labels that it lacks are zero.

    Attributes:
        edges: its neighbours.
        volume: Å³, shape (); zero if it is not periodic.
        energy: eV, the baseline removed, shape ().
        forces: eV/Å, shape (n, 3).
        stress: eV/Å³, shape (3, 3).
        has_stress: 1 if that is a label, else 0, shape ().
    """

    edges: Edges
    volume: torch.Tensor
    energy: torch.Tensor
    forces: torch.Tensor
    stress: torch.Tensor
    has_stress: torch.Tensor

    @classmethod
    def of(
        cls,
        atoms: Atoms,
        cutoff: float,
        baseline: dict[int, float],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Frame:
        """Convert a frame whose calculator holds the labels; ``baseline`` is eV by species."""
        results = {} if atoms.calc is None else atoms.calc.results
        structure = Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
        has_stress = "stress" in results and bool(atoms.pbc.all())
        stress = atoms.get_stress(voigt=False) if has_stress else np.zeros((3, 3))
        energy = results.get("energy", 0.0)
        if "energy" in results:
            energy -= sum(baseline[z] for z in atoms.numbers.tolist())

        def to_tensor(array: NDArray[np.float64] | float) -> torch.Tensor:
            """The same shape, with the dtype and on the device of the batch."""
            return torch.tensor(array, dtype=dtype, device=device)

        return cls(
            edges=VerletList(cutoff, 0.0, device).edges(structure, dtype),
            volume=to_tensor(abs(np.linalg.det(atoms.cell.array * atoms.pbc[:, None]))),
            energy=to_tensor(energy),
            forces=to_tensor(results.get("forces", np.zeros((len(atoms), 3)))),
            stress=to_tensor(stress),
            has_stress=to_tensor(float(has_stress)),
        )


def random_rotations(count: int, rng: np.random.Generator) -> torch.Tensor:
    """Rotations and rotoreflections, evenly distributed, shape (count, 3, 3).

    Orthogonal factors of Gaussian matrices (F. Mezzadri, Notices of the AMS 54, 592 (2007)).
    """
    q, r = np.linalg.qr(rng.normal(size=(count, 3, 3)))
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    return torch.tensor(q, dtype=torch.float32)


class Batch:
    """Frames joined into one, each turned by its own matrix.

    Args:
        frames: s of them, n atoms and e edges in all.
        rotations: applied to row vectors from the right, shape (s, 3, 3); ``None`` leaves all as
            they are.
        scale: eV/Å; energies, forces and virials are in units of it (eV, eV/Å, eV).

    Attributes:
        edges: of all frames.
        n_atoms: of each frame, shape (s,).
        energy: shape (s,).
        forces: shape (n, 3).
        virial: per atom, with the sign of the stress, shape (s, 3, 3).
        has_virial: 1 for frames with such a label, else 0, shape (s, 1, 1).
    """

    def __init__(
        self, frames: Sequence[Frame], rotations: torch.Tensor | None = None, scale: float = 1.0
    ) -> None:
        edges = Edges.join([f.edges for f in frames])
        stress = torch.stack([f.stress for f in frames])
        forces = torch.cat([f.forces for f in frames])
        if rotations is not None:
            rotations = rotations.to(forces)
            of_edge = rotations[edges.systems[edges.centers]]
            edges = replace(edges, vectors=torch.bmm(edges.vectors[:, None], of_edge)[:, 0])
            forces = torch.bmm(forces[:, None], rotations[edges.systems])[:, 0]
            stress = rotations.transpose(1, 2) @ stress @ rotations
        self.edges, self.forces = edges, forces / scale
        self.n_atoms = torch.bincount(edges.systems, minlength=len(frames)).to(forces)
        volumes = torch.stack([f.volume for f in frames])
        self.virial = stress * (volumes / self.n_atoms / scale)[:, None, None]
        self.has_virial = torch.stack([f.has_stress for f in frames])[:, None, None]
        self.energy = torch.stack([f.energy for f in frames]) / scale
