"""Labelled frames as tensors, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import vesin
from ase import Atoms

__all__ = ["Batch", "Frame", "rotations"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One configuration of n atoms and p neighbour pairs; labels that it lacks are zero.

    Attributes:
        positions: (n, 3) Å.
        cell: (3, 3) rows, Å; zero if it is not periodic.
        species: (n,).
        pairs: centre and neighbour, (2, p).
        shifts: (p, 3).
        energy: eV, the baseline removed.
        forces: (n, 3) eV/Å.
        stress: (3, 3) eV/Å³.
    """

    positions: torch.Tensor
    cell: torch.Tensor
    species: torch.Tensor
    pairs: torch.Tensor
    shifts: torch.Tensor
    energy: torch.Tensor
    forces: torch.Tensor
    stress: torch.Tensor

    @classmethod
    def of(
        cls, atoms: Atoms, cutoff: float, baseline: dict[int, float], device: str = "cpu"
    ) -> Frame:
        """Convert a frame whose calculator holds the labels; ``baseline`` is eV by species."""
        results = {} if atoms.calc is None else atoms.calc.results
        i, j, shifts = vesin.ase_neighbor_list("ijS", atoms, cutoff)
        stress = atoms.get_stress(voigt=False) if "stress" in results else np.zeros((3, 3))
        energy = results.get("energy", 0.0)
        if "energy" in results:
            energy -= sum(baseline[z] for z in atoms.numbers.tolist())

        def real(array: np.ndarray | float) -> torch.Tensor:
            return torch.tensor(array, dtype=torch.float32, device=device)

        def whole(array: np.ndarray) -> torch.Tensor:
            return torch.tensor(np.asarray(array, dtype=np.int64), device=device)

        return cls(
            positions=real(atoms.positions),
            cell=real(atoms.cell.array * atoms.pbc[:, None]),
            species=whole(atoms.numbers),
            pairs=whole(np.stack([i, j])),
            shifts=whole(np.reshape(shifts, (-1, 3))),
            energy=real(energy),
            forces=real(results.get("forces", np.zeros((len(atoms), 3)))),
            stress=real(stress),
        )


def rotations(count: int, rng: np.random.Generator) -> torch.Tensor:
    """Random rotations and rotoreflections, (count, 3, 3), evenly distributed."""
    q, r = np.linalg.qr(rng.normal(size=(count, 3, 3)))
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    return torch.tensor(q, dtype=torch.float32)


class Batch:
    """Frames joined into one, each turned by its own matrix.

    Energies, forces and virials are in units of ``scale`` (eV, eV/Å, eV).

    Args:
        frames: s of them, n atoms in all.
        turns: (s, 3, 3) applied to row vectors from the right; ``None`` leaves all as they are.
        scale: eV/Å.
    """

    def __init__(
        self, frames: Sequence[Frame], turns: torch.Tensor | None = None, scale: float = 1.0
    ) -> None:
        device = frames[0].positions.device
        sizes = torch.tensor([len(f.positions) for f in frames], device=device)
        self.n_systems = len(frames)
        self.system = torch.repeat_interleave(torch.arange(len(frames), device=device), sizes)
        self.n_atoms = sizes.to(torch.float32)
        first = (torch.cumsum(sizes, 0) - sizes).tolist()
        self.centers, self.neighbors = torch.cat(
            [f.pairs + k for f, k in zip(frames, first, strict=True)], dim=1
        )
        self.shifts = torch.cat([f.shifts for f in frames])
        self.species = torch.cat([f.species for f in frames])
        cells = torch.stack([f.cell for f in frames])
        stress = torch.stack([f.stress for f in frames])
        positions = torch.cat([f.positions for f in frames])
        forces = torch.cat([f.forces for f in frames])
        if turns is not None:
            turns = turns.to(device)
            of_atom = turns[self.system]
            positions = torch.bmm(positions[:, None], of_atom)[:, 0]
            forces = torch.bmm(forces[:, None], of_atom)[:, 0]
            cells, stress = cells @ turns, turns.transpose(1, 2) @ stress @ turns
        self.positions, self.cells, self.forces = positions, cells, forces / scale
        self.volumes = torch.linalg.det(cells).abs()
        self.virial = stress * (self.volumes / self.n_atoms / scale)[:, None, None]  # per atom
        self.energy = torch.stack([f.energy for f in frames]) / scale
