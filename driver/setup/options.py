"""What a user may ask of a new input."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["InitOptions"]


@dataclass(frozen=True)
class InitOptions:
    """What is asked for.

    Attributes:
        ensemble: ``nve``, ``nvt`` or ``npt``.
        temperature_K: of thermostat and first velocities.
        pressure_MPa: of the barostat.
        beads: of ring polymers.
        contraction: beads on which direct forces are corrected; ``None`` for all.
        thermostat: i-PI's name; ``None`` for what suits.
        tau_fs: its time scale.
        stride: inner steps in an outer one; ``None`` for what a check advises.
        timestep_fs: the inner step; likewise.
        ps: length of the run.
        seed: of velocities and thermostat.
    """

    ensemble: str = "nvt"
    temperature_K: float = 300.0
    pressure_MPa: float = 0.1
    beads: int = 1
    contraction: int | None = None
    thermostat: str | None = None
    tau_fs: float = 100.0
    stride: int | None = None
    timestep_fs: float | None = None
    ps: float = 10.0
    seed: int = 31415
