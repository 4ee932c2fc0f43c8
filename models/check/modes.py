"""The stiffest vibrations, the gap's stiffness along them, and the strides they bear.

Vibrations are those of the surroundings as they stand, not of a minimum: what a run meets.

==========================  =============  =====================================================
symbol                      variable
==========================  =============  =====================================================
J = ∂F/∂x                   jacobian       of a served force, shape (3n, 3n), eV/Å²
m^(-½)                      scale          of each coordinate, amu^(-½)
K = -m^(-½) J m^(-½)        weighted       mass-weighted stiffness, shape (3n, 3n), eV/Å²/amu
k, u                        stiffness,     eigenvalues and modes of the conservative K; u of unit
                            mode           length, shape (3n,)
δk/k                        gap_stiffness  ``uᵀ (K_conservative - K_direct) u / k``
U                           basis          the stiff modes u, shape (3n, stiff)
Uᵀ K_direct U               fast           shape (stiff, stiff)
Uᵀ K_conservative U - fast  slow           stiffness of the gap, same shape
==========================  =============  =====================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from ..base import Role
from ..errors import ModelError
from .probe import Probe
from .stability import growth, period_fs

__all__ = ["Block", "Vibration", "stiff", "stiff_block", "stiffest", "stride_growth"]

Block = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Mass-weighted stiffness of gap and direct force among some atoms, (n, n), eV/Å²/amu."""

WHOLE_SYSTEM_ATOMS = 24  # so many are taken whole
DENSE_SIZE = 18  # coordinates: Lanczos iteration needs more than there are modes
BLOCK_ATOMS = 9  # around a stiff bond in a larger system
FREQUENCY_SHIFT, FREQUENCY_POINTS = 0.1, 21  # how far frequencies wander, relative
SOFT_STIFFNESS = 1.0 / 16.0  # of the greatest one: modes below it have a quarter of the frequency
BOND_SHARE = 0.8  # of the kinetic energy of a mode, by two atoms: they are bonded
MOVER_SHARE = 0.1  # of a species that is named


@dataclass(frozen=True)
class Vibration:
    """One stiff mode.

    Attributes:
        frequency_cm: wave number, 1/cm.
        period_fs: of the oscillation.
        gap_stiffness: δk/k: how much stiffer the conservative force is than the direct one along
            the mode, relative; ``None`` without both.
        movers: what moves: ``N-N`` where two atoms do nearly all of it, else species.
    """

    frequency_cm: float
    period_fs: float
    gap_stiffness: float | None
    movers: str = ""


def stiffest(probe: Probe, count: int = 4) -> tuple[list[Vibration], int]:
    """Find the stiffest modes of the conservative force, by Lanczos iteration if there are many.

    Returns:
        The modes, stiffest first, and the index of the atom that moves most in the first.

    Raises:
        ModelError: if the model has no conservative force.
    """
    if Role.CONSERVATIVE not in probe.roles:
        raise ModelError(f"expected model '{probe.model.name}' to offer conservative forces")
    scale = 1.0 / np.sqrt(probe.masses)
    size = probe.structure.positions.size

    def apply(vector: NDArray[np.float64], role: Role = Role.CONSERVATIVE) -> NDArray[np.float64]:
        """The mass-weighted Hessian times a vector, both of shape (3N,)."""
        change = probe.derivative(vector.reshape(probe.shape) * scale)[role]
        return -(change * scale).ravel()

    if size <= DENSE_SIZE:
        dense = np.array([apply(axis) for axis in np.eye(size)])
        values, vectors = np.linalg.eigh(0.5 * (dense + dense.T))
        values, vectors = values[-count:], vectors[:, -count:]
    else:
        operator = LinearOperator((size, size), matvec=apply, dtype=float)
        start = np.random.default_rng(0).normal(size=size)
        try:
            values, vectors = eigsh(
                operator, k=count, which="LA", v0=start, tol=0.01, ncv=min(4 * count + 4, size)
            )
        except ArpackNoConvergence as error:
            values, vectors = error.eigenvalues, error.eigenvectors
    order = np.argsort(values)[::-1]
    modes = [_vibration(probe, values[i], vectors[:, i], scale) for i in order]
    shares = (vectors[:, order[0]].reshape(probe.shape) ** 2).sum(axis=1)
    return modes, int(shares.argmax())


def _vibration(
    probe: Probe, stiffness: float, mode: NDArray[np.float64], scale: NDArray[np.float64]
) -> Vibration:
    period = period_fs(stiffness)
    gap = None
    if len(probe.roles) == 2 and stiffness > 0:
        weighted = mode.reshape(probe.shape) * scale
        along = {r: -float((c * weighted).sum()) for r, c in probe.derivative(weighted).items()}
        gap = float((along[Role.CONSERVATIVE] - along[Role.DIRECT]) / stiffness)
    shares = (mode.reshape(probe.shape) ** 2).sum(axis=1)
    movers = movers_of(probe.structure.numbers, shares)
    return Vibration(1e4 / (0.299792458 * period), period, gap, movers)


def movers_of(numbers: NDArray[np.int_], shares: NDArray[np.float64]) -> str:
    """Name what moves in a mode.

    Args:
        numbers: atomic, shape (N,).
        shares: of the atoms in its kinetic energy, shape (N,), of sum 1.
    """
    symbols = np.array([chemical_symbols[z] for z in numbers])
    pair = np.argsort(-shares)[:2]
    if len(pair) == 2 and shares[pair].sum() > BOND_SHARE and shares[pair].min() > 0.0:
        return "-".join(sorted(symbols[pair].tolist()))
    of_species = {s: float(shares[symbols == s].sum()) for s in sorted(set(symbols.tolist()))}
    return ", ".join(s for s, share in of_species.items() if share > MOVER_SHARE)


def stiff(vibrations: Sequence[Vibration]) -> list[Vibration]:
    """Those that are about as stiff as the stiffest: the bonds, not the metal they stand on."""
    longest = min(v.period_fs for v in vibrations) / np.sqrt(SOFT_STIFFNESS)
    return [v for v in vibrations if v.period_fs < longest]


def neighbourhood(probe: Probe, centre: int) -> NDArray[np.int_]:
    """Indices, shape (n,), of all atoms of a small system, else of those nearest to ``centre``."""
    from ase.geometry import find_mic

    n = probe.shape[0]
    if n <= WHOLE_SYSTEM_ATOMS:
        return np.arange(n)
    s = probe.structure
    away = s.positions - s.positions[centre]
    _, distances = find_mic(away, s.cell, s.pbc)
    return np.argsort(distances)[:BLOCK_ATOMS]


def stiff_block(probe: Probe, centre: int) -> Block:
    """Mass-weighted stiffness of gap and direct force around an atom, stiff modes only.

    The rest stands still. Modes softer than a sixteenth of the stiffest are left out: they limit
    no stride, and those of negative stiffness would pass for instabilities of the integrator.

    Returns:
        ``slow`` (gap) and ``fast`` (direct), shape (stiff, stiff), eV/Å²/amu; not symmetric.
    """
    atoms = neighbourhood(probe, centre)
    jacobian = probe.jacobian(atoms)
    scale = np.repeat(1.0 / np.sqrt(probe.masses[atoms, 0]), 3)
    weighted = {role: -(scale[:, None] * j * scale) for role, j in jacobian.items()}
    whole = weighted[Role.CONSERVATIVE]
    values, vectors = np.linalg.eigh(0.5 * (whole + whole.T))
    basis = vectors[:, values > SOFT_STIFFNESS * values[-1]]
    symmetric = basis.T @ (0.5 * (whole + whole.T)) @ basis
    fast = basis.T @ weighted[Role.DIRECT] @ basis
    return symmetric - fast, fast


def stride_growth(
    blocks: Sequence[Block],
    timestep_fs: float,
    strides: Sequence[int],
    springs: Sequence[float] | NDArray[np.float64] = (0.0,),
) -> list[float]:
    """The worst growth rate (1/ps) over all blocks, for each stride.

    Windows of instability are narrow and frequencies wander as bonds stretch and environments
    change, so those of blocks are scaled from 0.9 to 1.1 and the worst is taken.

    Args:
        blocks: stiffness of gap and direct force.
        timestep_fs: the inner step.
        strides: inner steps in an outer one.
        springs: frequencies of the ring polymer's modes that the gap acts on, 1/fs.
    """
    steps = timestep_fs * np.linspace(
        1.0 - FREQUENCY_SHIFT, 1.0 + FREQUENCY_SHIFT, FREQUENCY_POINTS
    )
    stiff = [block for block in blocks if block[0].size]  # a lone atom has no stiff mode
    return [
        max(
            (
                growth(s, f, step, m, spring * timestep_fs / step)  # springs do not wander
                for s, f in stiff
                for step in steps
                for spring in springs
            ),
            default=0.0,
        )
        for m in strides
    ]
