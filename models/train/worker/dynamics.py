"""Frames of the model's own dynamics: Langevin with multiple time stepping, many copies at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase import Atoms, units
from ase.data import atomic_masses
from numpy.typing import NDArray

from .batch import Batch, Frame
from .predict import predict

if TYPE_CHECKING:
    from metatrain.pet import PET

__all__ = ["Dynamics", "own_frames"]

logger = logging.getLogger(__name__)

INNER_FS = 0.5
STRIDE = 4
FRICTION = 0.01  # 1/fs
TOO_HOT = 5.0  # times the temperature: a copy that got so hot is started anew
FASTEST = 0.3 / units.fs  # Å/fs: ten times hydrogen at 300 K; what explodes stays in reach
COPIES_ATOMS = 300  # about so many atoms move at once
APART_FS = 20.0  # between frames that are kept


class Dynamics:
    """Copies of structures under impulse multiple time stepping with a Langevin thermostat.

    Args:
        model: the network with direct and conservative forces, outputs in units of ``scale``.
        starts: structures; each copy starts from one of them, and again if it gets too hot.
        copies: how many move at once.
        scale: eV/Å.
        temperature_K: of the thermostat and of the first velocities.
        rng: of starts, velocities and thermostat.
    """

    def __init__(
        self,
        model: PET,
        starts: Sequence[Atoms],
        copies: int,
        *,
        scale: float,
        temperature_K: float,  # noqa: N803
        rng: np.random.Generator,
    ) -> None:
        self.model, self.starts, self.scale = model.eval(), starts, scale
        self.energy = units.kB * temperature_K
        self.rng = rng
        self.device = str(next(model.parameters()).device)
        self.atoms = [self.start() for _ in range(copies)]
        self.restarts = 0
        self.kick = self.correction()

    def start(self) -> Atoms:
        """A copy of some structure, with velocities."""
        chosen = self.starts[self.rng.integers(len(self.starts))]
        atoms = Atoms(chosen.numbers, chosen.positions, cell=chosen.cell, pbc=chosen.pbc)
        masses = atomic_masses[atoms.numbers][:, None]
        momenta = np.sqrt(masses * self.energy) * self.rng.normal(size=(len(atoms), 3))
        atoms.set_momenta(momenta)
        return atoms

    def copies(self) -> list[Atoms]:
        """Where all are now, without momenta."""
        return [Atoms(a.numbers, a.positions, cell=a.cell, pbc=a.pbc) for a in self.atoms]

    def forces(self, *, conservative: bool) -> dict[str, list[NDArray[np.float64]]]:
        """Direct, and if asked conservative, forces of all copies in eV/Å."""
        none = dict.fromkeys(self.model.atomic_types, 0.0)
        frames = [Frame.of(a, self.model.cutoff, none, self.device) for a in self.atoms]
        with torch.set_grad_enabled(conservative):
            results = predict(self.model, Batch(frames), conservative=conservative)
        ends = np.cumsum([len(a) for a in self.atoms])[:-1]
        found = {}
        for name in ("direct", "forces") if conservative else ("direct",):
            values = self.scale * results[name].detach().cpu().double().numpy()
            found[name] = np.split(values, ends)
        found["direct"] = [f - f.mean(axis=0) for f in found["direct"]]
        return found

    def correction(self) -> list[NDArray[np.float64]]:
        """Conservative minus direct forces; the direct ones are kept for the next inner step."""
        found = self.forces(conservative=True)
        self.direct = found["direct"]
        return [c - d for c, d in zip(found["forces"], found["direct"], strict=True)]

    def step(self) -> None:
        """Do one outer step of ``STRIDE`` inner ones, each of ``INNER_FS``."""
        dt = INNER_FS * units.fs
        self.push(self.kick, 0.5 * STRIDE * dt)
        for _ in range(STRIDE):
            self.push(self.direct, 0.5 * dt)
            for atoms in self.atoms:
                velocities = np.nan_to_num(atoms.get_velocities(), nan=FASTEST)
                atoms.positions += dt * velocities.clip(-FASTEST, FASTEST)
            self.direct = self.forces(conservative=False)["direct"]
            self.push(self.direct, 0.5 * dt)
        self.kick = self.correction()
        self.push(self.kick, 0.5 * STRIDE * dt)
        self.thermostat(STRIDE * INNER_FS)

    def push(self, forces: Sequence[NDArray[np.float64]], time: float) -> None:
        """Change momenta by the impulse of ``forces``."""
        for atoms, force in zip(self.atoms, forces, strict=True):
            atoms.set_momenta(atoms.get_momenta() + time * force)

    def thermostat(self, duration_fs: float) -> None:
        """Langevin's exact step for the momenta; what got too hot starts anew."""
        keep = np.exp(-FRICTION * duration_fs)
        again = False
        for k, atoms in enumerate(self.atoms):
            spread = np.sqrt((1 - keep**2) * self.energy * atoms.get_masses())[:, None]
            momenta = keep * atoms.get_momenta()
            atoms.set_momenta(momenta + spread * self.rng.normal(size=(len(atoms), 3)))
            heat = atoms.get_kinetic_energy() / (1.5 * len(atoms) * self.energy)
            if not heat < TOO_HOT:
                self.atoms[k], self.restarts, again = self.start(), self.restarts + 1, True
        if again:
            self.kick = self.correction()


def own_frames(
    model: PET,
    starts: Sequence[Atoms],
    count: int,
    *,
    scale: float,
    temperature_K: float,  # noqa: N803
    seed: int,
    seconds: float | None = None,
    settle_fs: float = 0.0,
    in_a_row: int = 1,
) -> list[Atoms]:
    """Return ``count`` frames of the model's own dynamics, or what ``seconds`` allow for.

    A copy that explodes is started anew, and its frames until then are kept if they are finite.
    Those of the first ``settle_fs`` are left out: the starts may be far from what the dynamics
    come to. With ``in_a_row`` each is that many frames of one copy, an outer step apart, which
    follow each other in what is returned.
    """
    begin = time.monotonic()
    rng = np.random.default_rng([seed, 7])
    size = np.mean([len(a) for a in starts])
    copies = int(np.clip(COPIES_ATOMS // size, 1, count))
    dynamics = Dynamics(
        model, starts, copies, scale=scale, temperature_K=temperature_K, rng=rng
    )  # fmt: skip
    for _ in range(round(settle_fs / (STRIDE * INNER_FS))):
        dynamics.step()
    found: list[list[Atoms]] = []
    while len(found) < count:
        for _ in range(max(1, round(APART_FS / (STRIDE * INNER_FS)) - in_a_row + 1)):
            dynamics.step()
        live, rows = list(dynamics.atoms), [dynamics.copies()]
        for _ in range(in_a_row - 1):
            dynamics.step()
            rows.append(dynamics.copies())
        for before, now, *row in zip(live, dynamics.atoms, *rows, strict=True):
            started_anew = now is not before
            if not started_anew and all(np.isfinite(atoms.positions).all() for atoms in row):
                found.append(row)
        if seconds is not None and time.monotonic() - begin > seconds:
            break
    if dynamics.restarts:
        logger.warning("%d copies got too hot and were started anew", dynamics.restarts)
    return [atoms for row in found[:count] for atoms in row]
