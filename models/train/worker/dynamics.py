"""Frames of the model's own dynamics: Langevin with multiple time stepping, many copies at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase import Atoms, units
from numpy.typing import NDArray

from ...base import Role
from ...dynamics.mts import mts_step
from ...dynamics.particles import Particles, thermal_speeds, thermalized
from ...dynamics.units import ACCELERATION
from ...served import served_forces
from .batch import Batch, Frame
from .predict import predict

if TYPE_CHECKING:
    from metatrain.pet import PET

__all__ = ["LangevinCopies", "generate_frames"]

logger = logging.getLogger(__name__)

INNER_FS = 0.5
STRIDE = 4
FRICTION = 0.01  # 1/fs
TOO_HOT = 5.0  # times the temperature: a copy that got so hot is started anew
FASTEST = 0.3  # Å/fs: ten times hydrogen at 300 K; what explodes stays in reach
COPIES_ATOMS = 300  # about so many atoms move at once
INTERVAL_FS = 20.0  # between frames that are kept


class CappedParticles(Particles):
    """Particles that drift at ``FASTEST`` at most."""

    def drift(self, time_fs: float) -> None:
        """Move freely, in no component faster than allowed."""
        velocities = np.nan_to_num(self.velocities, nan=FASTEST).clip(-FASTEST, FASTEST)
        self.positions = self.positions + time_fs * velocities


class LangevinCopies:
    """Copies of structures under impulse multiple time stepping with a Langevin thermostat.

    Args:
        model: the network with direct and conservative forces, outputs in units of ``scale``.
        starts: structures; each copy starts from one of them, and again if it gets too hot.
        copies: how many move at once.
        scale: eV/Å.
        temperature_K: of the thermostat and of the first velocities.
        rng: of starts, velocities and thermostat.

    Attributes:
        atoms: the copies where forces were last evaluated; a restart puts a new one in its place.
        particles: the n atoms of all copies in a row.
        slices: the atoms of each copy among them.
        force: served direct force, shape (n, 3), eV/Å.
        gap: conservative minus served direct force, shape (n, 3), eV/Å.
        restarts: copies that got too hot and were started anew.
    """

    def __init__(
        self,
        model: PET,
        starts: Sequence[Atoms],
        copies: int,
        *,
        scale: float,
        temperature_K: float,
        rng: np.random.Generator,
    ) -> None:
        self.model, self.starts, self.scale = model.eval(), starts, scale
        self.temperature_K = temperature_K
        self.rng = rng
        self.device = str(next(model.parameters()).device)
        self.restarts = 0
        atoms, velocities = zip(*[self.start() for _ in range(copies)], strict=True)
        self.join(list(atoms), velocities)

    def start(self) -> tuple[Atoms, NDArray[np.float64]]:
        """A copy of some structure, and thermal velocities, shape (N, 3), Å/fs."""
        chosen = self.starts[int(self.rng.integers(len(self.starts)))]
        atoms = bare(chosen)
        speeds = thermal_speeds(atoms.get_masses(), self.temperature_K)
        return atoms, speeds[:, None] * self.rng.normal(size=(len(atoms), 3))

    def join(self, atoms: list[Atoms], velocities: Sequence[NDArray[np.float64]]) -> None:
        """Let these copies move on from where they are; velocities (N, 3) of each, Å/fs."""
        self.atoms = atoms
        ends = np.cumsum([len(a) for a in atoms]).tolist()
        self.slices = [slice(end - len(a), end) for end, a in zip(ends, atoms, strict=True)]
        masses = np.concatenate([a.get_masses() for a in atoms])
        positions = np.concatenate([a.positions for a in atoms])
        self.particles = CappedParticles(masses, positions, np.concatenate(velocities))
        self.force, self.gap = self.evaluate(conservative=True)

    def copies(self) -> list[Atoms]:
        """Where all are now."""
        return [bare(a) for a in self.atoms]

    def evaluate(self, *, conservative: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Evaluate all copies where they are.

        Returns:
            The served direct force and the gap, shape (n, 3), eV/Å; the gap is zero unless
            ``conservative``.
        """
        for atoms, part in zip(self.atoms, self.slices, strict=True):
            atoms.positions = self.particles.positions[part]
        none = dict.fromkeys(self.model.atomic_types, 0.0)
        frames = [Frame.of(a, self.model.cutoff, none, self.device) for a in self.atoms]
        with torch.set_grad_enabled(conservative):
            results = predict(self.model, Batch(frames), conservative=conservative)
        forces = {
            name: self.scale * results[name].detach().cpu().double().numpy()
            for name in (("direct", "forces") if conservative else ("direct",))
        }
        direct = (forces["direct"][part] for part in self.slices)
        force = np.concatenate([served_forces(one, Role.DIRECT) for one in direct])
        return force, forces["forces"] - force if conservative else np.zeros_like(force)

    def step(self) -> None:
        """Do one outer step of ``STRIDE`` inner ones, each of ``INNER_FS``."""
        self.force, self.gap = mts_step(
            self.particles, self.force, self.gap, self.inner_force, self.correct,
            timestep_fs=INNER_FS, stride=STRIDE,
        )  # fmt: skip
        self.thermostat(STRIDE * INNER_FS)

    def inner_force(self) -> NDArray[np.float64]:
        """The force of an inner step, shape (n, 3), eV/Å."""
        return self.evaluate(conservative=False)[0]

    def correct(self, _: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Direct force and gap from one pass, shape (n, 3), eV/Å."""
        return self.evaluate(conservative=True)

    def thermostat(self, duration_fs: float) -> None:
        """Langevin's exact step for the velocities; what got too hot starts anew."""
        kept = float(np.exp(-FRICTION * duration_fs))
        masses, before = self.particles.masses, self.particles.velocities
        atoms, velocities, restarts = list(self.atoms), [], 0
        for k, part in enumerate(self.slices):
            noise = self.rng.normal(size=before[part].shape)
            speeds = thermal_speeds(masses[part], self.temperature_K)
            v = thermalized(before[part], noise, kept, speeds)
            kinetic = 0.5 * (masses[part] * v**2).sum() / ACCELERATION
            if not kinetic < TOO_HOT * 0.5 * v.size * units.kB * self.temperature_K:
                atoms[k], v = self.start()
                restarts += 1
            velocities.append(v)
        if restarts:
            self.restarts += restarts
            self.join(atoms, velocities)
        else:
            self.particles.velocities = np.concatenate(velocities)


def generate_frames(
    model: PET,
    starts: Sequence[Atoms],
    count: int,
    *,
    scale: float,
    temperature_K: float,
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
    dynamics = LangevinCopies(
        model, starts, copies, scale=scale, temperature_K=temperature_K, rng=rng
    )
    for _ in range(round(settle_fs / (STRIDE * INNER_FS))):
        dynamics.step()
    segments: list[list[Atoms]] = []
    while len(segments) < count:
        for _ in range(max(1, round(INTERVAL_FS / (STRIDE * INNER_FS)) - in_a_row + 1)):
            dynamics.step()
        before, frames = dynamics.atoms, [dynamics.copies()]
        for _ in range(in_a_row - 1):
            dynamics.step()
            frames.append(dynamics.copies())
        for old, new, *segment in zip(before, dynamics.atoms, *frames, strict=True):
            started_anew = new is not old
            if not started_anew and all(np.isfinite(a.positions).all() for a in segment):
                segments.append(segment)
        if seconds is not None and time.monotonic() - begin > seconds:
            break
    if dynamics.restarts:
        logger.warning("%d copies got too hot and were started anew", dynamics.restarts)
    return [atoms for segment in segments[:count] for atoms in segment]


def bare(atoms: Atoms) -> Atoms:
    """A structure without labels, with its masses."""
    masses = atoms.get_masses()
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, masses=masses)
