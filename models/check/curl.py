"""The curl of forces: zero if they are the gradient of an energy.

===========================  ==========  ======================================================
symbol                       variable
===========================  ==========  ======================================================
J = ∂F/∂x                    jacobian    of a served force, shape (3N, 3N), eV/Å²
v_i                          directions  random, independent normal components, shape (p, N, 3)
J v_i                        changes     of the forces along them, eV/Å²
v_iᵀ J v_j                   products    shape (p, p)
|J v_i|²                     squares     shape (p,)
λ = ‖J - Jᵀ‖ / 2 ‖J‖         value       Frobenius norms; 0 for a gradient, 1 for a pure curl
(v_iᵀ J v_j - v_jᵀ J v_i)²   pairs       shape (p, p); off the diagonal ``‖J - Jᵀ‖²`` on average
===========================  ==========  ======================================================

Norms from random directions: Hutchinson, Commun. Stat. Simul. Comput. 18, 1059 (1989).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base import Role
from .probe import Probe

__all__ = ["Curl", "LoopWork", "curl", "exact_curl", "loop_work"]


@dataclass(frozen=True)
class Curl:
    """``λ = ‖J - Jᵀ‖ / 2‖J‖`` (Frobenius): 0 for a gradient, 1 for a pure curl, with its error."""

    value: float
    error: float | None
    probes: int


@dataclass(frozen=True)
class LoopWork:
    """Work done on the atoms once round a closed path: RMS over paths, and the largest, meV/atom.

    Attributes:
        amplitude: how far each coordinate moves, RMS over coordinates, Å.
    """

    rms_meV: float
    largest_meV: float
    paths: int
    amplitude: float


def exact_curl(jacobian: NDArray[np.float64]) -> float:
    """λ of a Jacobian at hand, shape (n, n)."""
    norm = np.linalg.norm(jacobian)
    return float(np.linalg.norm(jacobian - jacobian.T) / (2.0 * norm)) if norm else 0.0


def curl(probe: Probe, probes: int, seed: int = 0) -> dict[Role, Curl]:
    """Estimate λ of each role from ``J v`` alone, for random ``v``.

    For independent normal ``u`` and ``v``, ``E |J v|² = ‖J‖²`` and
    ``E (uᵀJv - vᵀJu)² = ‖J - Jᵀ‖²``, so every pair of ``probes`` directions counts. A system with
    no more coordinates than that is done exactly. The error is that of the jackknife.
    """
    if probe.structure.positions.size <= probes:
        atoms = range(probe.shape[0])
        exact = probe.jacobian(atoms)
        return {role: Curl(exact_curl(j), None, probes) for role, j in exact.items()}
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(probes, *probe.shape))
    changes = [probe.derivative(v) for v in directions]
    flat = directions.reshape(probes, -1)
    result = {}
    for role in probe.roles:
        along = np.array([change[role].ravel() for change in changes])
        result[role] = _from_products(flat @ along.T, (along**2).sum(axis=1))
    return result


def _from_products(products: NDArray[np.float64], squares: NDArray[np.float64]) -> Curl:
    """λ from ``uᵢᵀ J uⱼ``, shape (p, p), and ``|J uⱼ|²``, shape (p,)."""
    pairs = (products - products.T) ** 2

    def value(kept: NDArray[np.int_]) -> float:
        """The curl by those probes alone, indices of shape (p,)."""
        p = len(kept)
        skew = pairs[np.ix_(kept, kept)].sum() / (p * (p - 1))
        return float(np.sqrt(skew / squares[kept].mean()) / 2.0)

    p = len(squares)
    all_probes = np.arange(p)
    without = np.array([value(np.delete(all_probes, i)) for i in range(p)])
    error = np.sqrt((p - 1) / p * ((without - without.mean()) ** 2).sum())
    return Curl(value(all_probes), float(error), p)


def loop_work(
    probe: Probe, *, amplitude: float = 0.03, points: int = 16, paths: int = 4, seed: int = 0
) -> dict[Role, LoopWork]:
    """Go round random ellipses in the space of all coordinates and sum up force times way.

    The trapezoid rule converges faster than any power of ``points`` on a closed smooth path.
    """
    rng = np.random.default_rng(seed)
    angles = 2.0 * np.pi * np.arange(points) / points
    work: dict[Role, list[float]] = {role: [] for role in probe.roles}
    for _ in range(paths):
        a, b = amplitude * rng.normal(size=(2, *probe.shape))
        totals = dict.fromkeys(probe.roles, 0.0)
        for angle in angles:
            tangent = (b * np.cos(angle) - a * np.sin(angle)) * (2.0 * np.pi / points)
            forces = probe.served(probe.moved(a * np.cos(angle) + b * np.sin(angle)))
            for role in probe.roles:
                totals[role] += float((forces[role] * tangent).sum())
        for role, total in totals.items():
            work[role].append(1e3 * total / probe.shape[0])
    return {
        role: LoopWork(float(np.sqrt(np.mean(np.square(w)))), max(map(abs, w)), paths, amplitude)
        for role, w in work.items()
    }
