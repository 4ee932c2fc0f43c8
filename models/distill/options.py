"""Options of a distillation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..base import Role
from ..errors import ModelError

__all__ = ["DistillOptions"]

LIMITS = ("rounds", "minutes", "gap")
"""What may change between a command and its repetition: when to stop."""


@dataclass(frozen=True)
class DistillOptions:
    """How to distil.

    Attributes:
        conservative: whether the student has an energy and differentiates it; else it predicts
            forces directly.
        size: of the student, as in training; by default ``s``, or ``xs`` if it is conservative.
        cutoff: Å, of one of its two message-passing layers; the time of a step goes with its cube.
        temperatures_K: each structure is sampled at each of them.
        strain: largest strain of a periodic cell at the start of a trajectory.
        beads: of each ring polymer; 1 is classical.
        timestep_fs: inner step of the dynamics.
        stride: inner steps between two corrections by the teacher.
        interval_fs: between two frames of a trajectory.
        frames: to add to the training data in each round; twice as many are sampled.
        trajectories: for each structure and temperature.
        rounds: trainings at most.
        minutes: wall time at most, of all invocations together.
        gap: meV/Å; a student that meets it on fresh frames is good enough.
        epochs: of each training at most, ``None`` for as many as there is time for.
        max_force: eV/Å; frames with a larger force on an atom are left out of the training.
        seed: of everything random.
    """

    conservative: bool = False
    size: str | None = None
    cutoff: float = 4.5
    temperatures_K: tuple[float, ...] = (300.0, 500.0)
    strain: float = 0.03
    beads: int = 1
    timestep_fs: float = 0.5
    stride: int = 4
    interval_fs: float = 20.0
    frames: int = 200
    trajectories: int = 2
    rounds: int = 4
    minutes: float = 60.0
    gap: float = 0.0
    epochs: int | None = None
    max_force: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("cutoff", "beads", "timestep_fs", "stride", "interval_fs", "frames",
                     "trajectories", "rounds", "minutes", "max_force"):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ModelError(
                    f"expected a positive number for {name}, got {getattr(self, name)}; change "
                    f"--{name.removesuffix('_fs').replace('_', '-')}"
                )
        if not self.temperatures_K or min(self.temperatures_K) <= 0:
            raise ModelError("expected positive temperatures, got others; change --temperature")
        if not 0 <= self.strain < 0.2:
            raise ModelError(f"expected a strain below 0.2, got {self.strain}; change --strain")

    @property
    def role(self) -> Role:
        """The forces the student will serve."""
        return Role.CONSERVATIVE if self.conservative else Role.DIRECT

    @property
    def student_size(self) -> str:
        """The size of the student's network."""
        return self.size or ("xs" if self.conservative else "s")

    @property
    def outer_steps(self) -> int:
        """Outer steps between two frames."""
        return max(round(self.interval_fs / (self.timestep_fs * self.stride)), 1)

    def lasting(self) -> dict[str, Any]:
        """What must not change when a command is repeated, as JSON holds it."""
        values = {k: v for k, v in asdict(self).items() if k not in LIMITS}
        return values | {"temperatures_K": list(self.temperatures_K)}
