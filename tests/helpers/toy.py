"""An analytic float64 test model whose direct forces are deliberately not conservative.

Its energy is a sum of soft pair repulsions, ``A (1 - r²/c²)⁴`` within the cutoff ``c``, under
minimum image. The direct forces are the conservative ones times a factor that varies with each
atom's surroundings, plus a swirl about the z axis, the gradient of nothing: on their own they heat
the system steadily.

Named in an input as ``python:toy:toy`` (options: ``python:toy:toy?direct_stress=False``) with
``tests`` as the working directory or in ``PYTHONPATH``.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from halfkick.models.base import Capabilities, ForceModel, ForceResult, Role, Structure
from halfkick.models.errors import ModelError

AMPLITUDE = 4.0  # eV
CUTOFF = 2.5  # Å
UNEVENNESS = 0.2  # how much the factor on the conservative forces varies
SWIRL = 0.15  # eV/Å, size of the part with a curl
SPECIES = frozenset({1, 8})


class Toy(ForceModel):
    """Both heads of the test model.

    Args:
        direct: whether there is a direct head.
        direct_stress: whether the direct head comes with a virial.
        nan_after: from this number of evaluated structures on, forces are NaN.
        die_after: at this number of evaluated structures the process is killed.
        reset_after: at this number, once in a folder, the process is killed in such a way that
            its TCP connections are reset, as they are when requests lie in them unread.
        stop_after: at this number, once in a folder, the process is stopped: it hangs.
    """

    name = "toy"

    def __init__(
        self,
        *,
        direct: bool = True,
        direct_stress: bool = True,
        nan_after: int | None = None,
        die_after: int | None = None,
        reset_after: int | None = None,
        stop_after: int | None = None,
    ) -> None:
        roles = frozenset(Role) if direct else frozenset({Role.CONSERVATIVE})
        stress = roles if direct_stress else frozenset({Role.CONSERVATIVE})
        self.capabilities = Capabilities(roles, stress, SPECIES, CUTOFF)
        self.nan_after = nan_after
        self.die_after = die_after
        self.reset_after = reset_after
        self.stop_after = stop_after
        self.evaluated = 0

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        results = []
        for structure in structures:
            for role in roles:
                self.check(structure.numbers, role)
            results.append({role: self._evaluate(structure, role) for role in roles})
            self.evaluated += 1
            if self.evaluated == self.stop_after and not Path("was_stopped").exists():
                Path("was_stopped").touch()
                os.kill(os.getpid(), signal.SIGSTOP)
            if self.evaluated == self.reset_after and not Path("was_reset").exists():
                Path("was_reset").touch()
                reset_connections()
                os.kill(os.getpid(), signal.SIGKILL)
            if self.evaluated == self.die_after:
                os.kill(os.getpid(), signal.SIGKILL)
        return results

    def _evaluate(self, structure: Structure, role: Role) -> ForceResult:
        i, j, d = pairs(structure)
        n = len(structure.positions)
        x = 1.0 - (d**2).sum(axis=1) / CUTOFF**2
        energy = float((AMPLITUDE * x**4).sum())
        pair_forces = (8.0 * AMPLITUDE / CUTOFF**2 * x**3)[:, None] * d  # on i, from j
        if role is Role.DIRECT:
            energy = 0.0
            crowding = np.bincount(i, x**2, n) + np.bincount(j, x**2, n)
            factor = 1.0 + UNEVENNESS * np.sin(3.0 * crowding)
            swirl = SWIRL / CUTOFF * (x**2)[:, None] * np.cross([0.0, 0.0, 1.0], d)
        else:
            factor = np.ones(n)
            swirl = np.zeros_like(d)
        on_i = factor[i, None] * pair_forces + swirl
        on_j = -factor[j, None] * pair_forces - swirl
        forces = np.zeros((n, 3))
        np.add.at(forces, i, on_i)
        np.add.at(forces, j, on_j)
        virial = 0.5 * d.T @ (on_i - on_j)
        result = ForceResult(energy, forces, 0.5 * (virial + virial.T))
        if role not in self.capabilities.stress:
            result = replace(result, virial=np.zeros((3, 3)))
        if self.nan_after is not None and self.evaluated >= self.nan_after:
            result = replace(result, forces=np.full((n, 3), np.nan))
        return result


def pairs(
    structure: Structure,
) -> tuple[NDArray[np.int_], NDArray[np.int_], NDArray[np.float64]]:
    """Return i, j and the vectors from j to i, shape (P, 3), of all pairs within the cutoff."""
    i, j = np.triu_indices(len(structure.positions), 1)
    d = structure.positions[i] - structure.positions[j]
    if structure.pbc.any():
        # directions that are not periodic take part with an image far away
        cell = np.where(structure.pbc[:, None], structure.cell, 1e6 * np.eye(3))
        inverse = np.linalg.inv(cell)
        heights = 1.0 / np.linalg.norm(inverse, axis=0)
        if heights.min() < 2.0 * CUTOFF:
            raise ModelError(
                f"expected a cell at least {2 * CUTOFF} Å high for model 'toy', "
                f"got {heights.min():.3f} Å; use a larger cell"
            )
        d -= np.round(d @ inverse) @ cell
    inside = (d**2).sum(axis=1) < CUTOFF**2
    return i[inside], j[inside], d[inside]


def toy(**options: bool | int | None) -> Toy:
    """Make the model; the factory that ``python:toy:toy`` names."""
    return Toy(**options)


def atoms(side: int = 3, spacing: float = 1.9, seed: int = 0) -> Atoms:
    """Return ``side``³ hydrogen and oxygen atoms on a rattled, slightly triclinic lattice."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    numbers = np.where(np.arange(len(grid)) % 3 == 0, 8, 1)
    cell = side * spacing * np.array([[1.0, 0, 0], [0.05, 1.0, 0], [-0.03, 0.04, 1.0]])
    positions = grid / side @ cell + rng.normal(scale=0.1, size=grid.shape)
    return Atoms(numbers, positions, cell=cell, pbc=True)


def reset_connections() -> None:
    """Have the kernel send RST, not FIN, when the sockets of this process are closed."""
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if stat.S_ISSOCK(entry.stat().st_mode):
                with socket.socket(fileno=os.dup(int(entry.name))) as connection:
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        except FileNotFoundError:
            continue  # the listing's own
