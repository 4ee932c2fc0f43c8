"""One model at one structure, and the derivatives of its forces along directions.

Directions are arrays of displacements, shape (N, 3), of which each coordinate moves by about one
step. Derivatives are central differences with a step that balances the model's rounding noise
against the curvature of the forces, so that float32 models give what they can.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from ase.data import atomic_masses
from numpy.typing import ArrayLike, NDArray

from ..base import ForceModel, ForceResult, Role, Structure
from ..served import served_forces
from ..statistics import rms

__all__ = ["TINY_STEP", "Forces", "Probe"]

Forces = dict[Role, NDArray[np.float64]]
"""Role -> array of shape (N, 3)."""

THIRD_DERIVATIVE = 1500.0  # eV/Å⁴, of the force along an O-H bond
TINY_STEP = 1e-6  # Å: along so little, what is not a parabola is rounding
LONGEST_STEP, SHORTEST_STEP = 0.02, 1e-5  # Å


class Probe:
    """A model at a structure.

    Args:
        model: any source of forces.
        structure: where it is looked at.
        masses: of the atoms, amu, shape (N,); without, those of their elements.

    Attributes:
        roles: the forces the model offers.
        masses: amu, shape (N, 1).

    Raises:
        ModelError: if the model does not know a species.
    """

    def __init__(
        self,
        model: ForceModel,
        structure: Structure,
        masses: NDArray[np.float64] | None = None,
    ) -> None:
        self.model = model
        self.structure = replace(structure, slot=("check", len(structure.numbers)))
        self.roles = model.capabilities.roles
        of_elements: NDArray[np.float64] = atomic_masses[structure.numbers]
        self.masses = (of_elements if masses is None else masses)[:, None]
        for role in self.roles:
            model.check(structure.numbers, role)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of positions, forces and directions: (N, 3)."""
        return self.structure.positions.shape

    def moved(self, displacement: NDArray[np.float64]) -> Structure:
        """The structure with its atoms moved by ``displacement`` (Å), shape (N, 3)."""
        return replace(self.structure, positions=self.structure.positions + displacement)

    def strained(self, strain: NDArray[np.float64]) -> Structure:
        """The structure with positions and cell strained, shape (3, 3)."""
        by = np.eye(3) + strain
        s = self.structure
        return replace(s, positions=s.positions @ by, cell=s.cell @ by)

    def results(self, structure: Structure | None = None) -> dict[Role, ForceResult]:
        """What the model says of all its roles, at the probe's own structure by default."""
        (results,) = self.model.evaluate([structure or self.structure], self.roles)
        return dict(results)

    def energy(self, structure: Structure) -> float:
        """The conservative energy, eV."""
        role = Role.CONSERVATIVE
        (results,) = self.model.evaluate([structure], frozenset({role}))
        return results[role].energy

    def served(self, structure: Structure) -> Forces:
        """Forces as they are served, shape (N, 3) of each role, eV/Å."""
        results = self.results(structure)
        return {role: served_forces(r.forces, role) for role, r in results.items()}

    def derivative(self, direction: NDArray[np.float64]) -> Forces:
        """``J v``, the change of the forces (eV/Å²) along ``direction``, shape (N, 3)."""
        size = rms(direction[direction != 0.0])
        step = self.step / size
        up, down = (self.served(self.moved(s * direction)) for s in (step, -step))
        return {role: (up[role] - down[role]) / (2.0 * step) for role in self.roles}

    def jacobian(self, atoms: ArrayLike) -> Forces:
        """``∂F/∂x`` among atoms of indices (n,), shape (3n, 3n) for each role, eV/Å²."""
        chosen = np.asarray(atoms)
        size = 3 * len(chosen)
        result = {role: np.zeros((size, size)) for role in self.roles}
        for column in range(size):
            direction = np.zeros(self.shape)
            direction[chosen[column // 3], column % 3] = 1.0
            for role, change in self.derivative(direction).items():
                result[role][:, column] = change[chosen].ravel()
        return result

    @cached_property
    def step(self) -> float:
        """Å; where a difference errs alike by rounding and by curvature."""
        step = np.cbrt(3.0 * self._noise() / THIRD_DERIVATIVE)
        return float(np.clip(step, SHORTEST_STEP, LONGEST_STEP))

    def _noise(self) -> float:
        """Rounding error of a force component, eV/Å: the scatter around a parabola 8e-6 Å long."""
        direction = np.random.default_rng(0).normal(size=self.shape)
        x = np.arange(8.0)
        line = [self.served(self.moved(TINY_STEP * k * direction)) for k in x]
        scatter = []
        for role in self.roles:
            y = np.array([forces[role].ravel() for forces in line])
            fit = np.vander(x, 3) @ np.polyfit(x, y, 2)
            scatter.append(rms(y - fit) * np.sqrt(8 / 5))
        return float(max(scatter))
