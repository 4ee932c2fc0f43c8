"""Runs at constant energy as trajectories that a network can learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...models.flash.pairs import Trajectory
from ..errors import InputError
from ..study.analysis.run_data import open_run

__all__ = ["read_trajectory"]

PS = 1e3  # fs


def read_trajectory(path: Path) -> Trajectory:
    """Read positions and velocities of a run.

    Args:
        path: its folder or input.

    Raises:
        InputError: if it is no run at constant energy, or has not written both.
    """
    run = open_run(path)
    where = run.job.folder
    if run.ensemble != "nve" or run.beads != 1:
        raise InputError(
            f"expected a run of one bead at constant energy (mode='nve') in '{where}', got "
            f"{run.ensemble} and {run.beads} beads; a network does not learn thermostats"
        )
    positions, velocities = run.frames("positions"), run.frames("velocities")
    if positions is None or velocities is None or run.masses is None:
        lacking = "positions" if positions is None else "velocities"
        raise InputError(
            f"expected trajectories of positions and velocities in '{where}', got no {lacking}; "
            f"write both to <output>"
        )
    _, one, other = np.intersect1d(
        positions.times.round(9), velocities.times.round(9), return_indices=True
    )
    first = positions.beads[0][0]
    return Trajectory(
        name=str(where),
        numbers=first.numbers,
        masses=run.masses,
        pbc=first.pbc,
        times=PS * positions.times[one],
        positions=np.array([positions.beads[0][k].positions for k in one]),
        momenta=velocities.array("velocities")[other] * run.masses[:, None],
        cell=first.cell.array,
    )
