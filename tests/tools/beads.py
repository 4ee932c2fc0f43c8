"""Times the beads of a ring polymer through models: CPU time per bead, one by one and together.

``python tests/tools/beads.py 7net ase:sevenn.calculator:SevenNetCalculator?model=7net-0`` takes
water, 8 beads. CPU time of one thread does not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from ase.build import molecule

from halfkick.models.base import ForceModel, Structure
from halfkick.models.load import load_model

SPREAD = 0.05
"""Å, of the beads."""


def water(count: int, beads: int) -> list[Structure]:
    """``count`` molecules in a periodic cell of the density of water, displaced for each bead."""
    rng = np.random.default_rng(0)
    one, edge = molecule("H2O"), 3.107
    corners = np.array([*np.ndindex(count, 1, 1)]) * edge
    cell = np.diag([count * edge, edge, edge])
    side = round(count ** (1 / 3))
    if side**3 == count:
        corners, cell = np.array([*np.ndindex(side, side, side)]) * edge, side * edge * np.eye(3)
    positions = (corners[:, None] + one.positions).reshape(-1, 3)
    numbers, pbc = np.tile(one.numbers, count), np.array([True] * 3)
    return [
        Structure(numbers, positions + rng.normal(scale=SPREAD, size=positions.shape), cell, pbc)
        for _ in range(beads)
    ]


def ms_per_bead(model: ForceModel, structures: list[Structure], repeats: int) -> float:
    """The least CPU time of all repeats, in ms per structure."""
    model.evaluate(structures, model.capabilities.roles)
    times = []
    for _ in range(repeats):
        start = time.process_time()
        model.evaluate(structures, model.capabilities.roles)
        times.append(time.process_time() - start)
    return 1e3 * min(times) / len(structures)


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--beads", type=int, default=8)
    parser.add_argument("--molecules", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    structures = water(arguments.molecules, arguments.beads)
    print(f"{arguments.beads} beads of {len(structures[0].numbers)} atoms, ms of CPU time per bead")
    for name in arguments.models:
        spent = ms_per_bead(load_model(name), structures, arguments.repeats)
        print(f"{spent:9.1f}  {name}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
