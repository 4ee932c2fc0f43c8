"""A flexible point-charge water (SPC/Fw-like), crude and cheap: where dynamics may start from.

Units: eV, Å, fs, amu, K.
"""

import numpy as np
import torch
from ase import units

__all__ = ["PointChargeWater", "lattice_water"]

# SPC/Fw (Wu, Tepper, Voth 2006), from kcal/mol to eV
KCAL = units.kcal / units.mol
BOND_K, BOND_LENGTH = 1059.162 * KCAL, 1.012
ANGLE_K, ANGLE = 75.90 * KCAL, np.deg2rad(113.24)
LJ_EPSILON, LJ_SIGMA = 0.1554252 * KCAL, 3.165492
CHARGE_O, CHARGE_H = -0.82, 0.41
COULOMB = units.Hartree * units.Bohr
WOLF_ALPHA = 0.25


def lattice_water(n_molecules: int, cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put randomly turned molecules on a grid; positions (n_atoms, 3), order O, H, H."""
    k = int(np.ceil(n_molecules ** (1 / 3)))
    sites = np.array([(i, j, m) for i in range(k) for j in range(k) for m in range(k)])
    sites = sites[rng.permutation(len(sites))[:n_molecules]] / k
    half = 0.5 * ANGLE
    water = BOND_LENGTH * np.array(
        [[0, 0, 0], [np.sin(half), np.cos(half), 0], [-np.sin(half), np.cos(half), 0]]
    )
    turns = [np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(n_molecules)]
    return np.concatenate([s @ cell + water @ t for s, t in zip(sites, turns, strict=True)])


class PointChargeWater:
    """SPC/Fw-like water for a batch of boxes of one size (dense minimum-image pairs).

    The charges act through a damped, shifted potential cut at half the smallest box height: crude,
    but it only provides starting points.
    """

    def __init__(self, cells: torch.Tensor, n_molecules: int) -> None:
        self.cells, self.inverse = cells, torch.linalg.inv(cells)
        heights = torch.linalg.det(cells)[:, None] / torch.stack(
            [torch.linalg.cross(cells[:, i - 2], cells[:, i - 1]).norm(dim=-1) for i in range(3)], 1
        )
        self.cutoff = 0.5 * float(heights.min())
        n = 3 * n_molecules
        i, j = torch.triu_indices(n, n, 1)
        other = i // 3 != j // 3
        self.i, self.j = i[other], j[other]
        charges = torch.tensor([CHARGE_O, CHARGE_H, CHARGE_H]).repeat(n_molecules)
        self.qq = COULOMB * charges[self.i] * charges[self.j]
        self.both_oxygen = ((self.i % 3 == 0) & (self.j % 3 == 0)).double()
        self.i_h = torch.arange(n).reshape(-1, 3)

    def energy(self, positions: torch.Tensor) -> torch.Tensor:
        """Energies (n_boxes,) of positions (n_boxes, n_atoms, 3)."""
        d = positions[:, self.i] - positions[:, self.j]
        d = d - torch.round(d @ self.inverse) @ self.cells
        r = d.norm(dim=-1).clamp(min=0.6)
        inside = (r < self.cutoff).double()
        shift = torch.special.erfc(torch.tensor(WOLF_ALPHA * self.cutoff)) / self.cutoff
        pair = self.qq * (torch.special.erfc(WOLF_ALPHA * r) / r - shift)
        s6 = (LJ_SIGMA / r.clamp(min=2.0)) ** 6
        pair = pair + self.both_oxygen * 4 * LJ_EPSILON * (s6 * s6 - s6)
        a = positions[:, self.i_h[:, 1]] - positions[:, self.i_h[:, 0]]
        b = positions[:, self.i_h[:, 2]] - positions[:, self.i_h[:, 0]]
        ra, rb = a.norm(dim=-1), b.norm(dim=-1)
        theta = torch.arccos(((a * b).sum(-1) / (ra * rb)).clamp(-0.999, 0.999))
        bonds = 0.5 * BOND_K * ((ra - BOND_LENGTH) ** 2 + (rb - BOND_LENGTH) ** 2)
        bends = 0.5 * ANGLE_K * (theta - ANGLE) ** 2
        return (pair * inside).sum(-1) + (bonds + bends).sum(-1)

    def equilibrate(
        self, positions: torch.Tensor, schedule: list[tuple[float, int]]
    ) -> torch.Tensor:
        """Langevin dynamics of 1 fs through (temperature, steps); returns positions."""
        masses = torch.tensor([15.999, 1.008, 1.008]).repeat(positions.shape[1] // 3)[:, None]
        step, decay = 1.0 * units.fs, float(np.exp(-0.02))
        velocities = torch.zeros_like(positions)

        def forces(x: torch.Tensor) -> torch.Tensor:
            x = x.detach().requires_grad_(True)
            return -torch.autograd.grad(self.energy(x).sum(), x)[0].clamp(-30.0, 30.0)

        f = forces(positions)
        for temperature, n_steps in schedule:
            thermal = torch.sqrt(units.kB * temperature / masses * (1 - decay**2))
            for _ in range(n_steps):
                velocities = velocities + 0.5 * step * f / masses
                positions = positions + 0.5 * step * velocities
                velocities = decay * velocities + thermal * torch.randn_like(velocities)
                positions = positions + 0.5 * step * velocities
                f = forces(positions)
                velocities = velocities + 0.5 * step * f / masses
        return positions
