"""A flexible point-charge water (SPC/Fw-like), crude and cheap: where dynamics may start from.

Units: eV, Å, fs, amu, K.
"""

import numpy as np
import torch
from ase import units
from numpy.typing import NDArray

from ..dynamics.mts import velocity_verlet
from ..dynamics.particles import Particles, thermal_speeds, thermalized

__all__ = ["PointChargeWater", "lattice_water"]

# SPC/Fw (Wu, Tepper, Voth 2006), from kcal/mol to eV
KCAL = units.kcal / units.mol
BOND_K, BOND_LENGTH = 1059.162 * KCAL, 1.012
ANGLE_K, ANGLE = 75.90 * KCAL, np.deg2rad(113.24)
LJ_EPSILON, LJ_SIGMA = 0.1554252 * KCAL, 3.165492
CHARGE_O, CHARGE_H = -0.82, 0.41
COULOMB = units.Hartree * units.Bohr
WOLF_ALPHA = 0.25  # 1/Å
MAX_FORCE = 30.0  # eV/Å, of a component: starts are on a lattice
TIMESTEP_FS, RELAXATION_FS = 1.0, 50.0


def lattice_water(
    n_molecules: int, cell: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Put randomly turned molecules on a grid in a cell (3, 3) of rows, Å.

    Returns:
        Positions, shape (n_atoms, 3), Å, in the order O, H, H.
    """
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
        """Run Langevin dynamics.

        Args:
            positions: shape (n_boxes, n_atoms, 3), Å, float64.
            schedule: temperatures, K, and how many steps of ``TIMESTEP_FS`` at each.

        Returns:
            Positions at the end, same shape.
        """
        masses = np.tile([15.999, 1.008, 1.008], positions.shape[1] // 3)
        water = LangevinParticles(masses, positions.numpy())

        def evaluate() -> NDArray[np.float64]:
            """Forces with the shape of the positions, eV/Å."""
            x = torch.tensor(water.positions, requires_grad=True)
            (gradient,) = torch.autograd.grad(self.energy(x).sum(), x)
            return -gradient.clamp(-MAX_FORCE, MAX_FORCE).numpy()

        force = evaluate()
        for water.target_K, n_steps in schedule:
            for _ in range(n_steps):
                force = velocity_verlet(water, force, evaluate, TIMESTEP_FS)
        return torch.from_numpy(water.positions)


class LangevinParticles(Particles):
    """Particles at rest, and a Langevin thermostat in the middle of each drift (BAOAB).

    The splitting of Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34 (2013).

    Args:
        masses: shape (N,), amu.
        positions: shape (…, N, 3), Å.

    Attributes:
        target_K: temperature of the thermostat.
    """

    def __init__(self, masses: NDArray[np.float64], positions: NDArray[np.float64]) -> None:
        super().__init__(masses, positions, np.zeros_like(positions))
        self.target_K = 0.0

    def drift(self, time_fs: float) -> None:
        """Move for half the time before and half the time after the thermostat acts."""
        kept = float(np.exp(-time_fs / RELAXATION_FS))
        super().drift(0.5 * time_fs)
        noise = torch.randn(self.velocities.shape, dtype=torch.float64).numpy()
        speeds = thermal_speeds(self.masses, self.target_K)
        self.velocities = thermalized(self.velocities, noise, kept, speeds)
        super().drift(0.5 * time_fs)
