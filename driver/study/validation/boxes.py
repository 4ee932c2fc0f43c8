"""Boxes and clusters of water to validate on, from the one that ships."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputError
from ..analysis.molecules import find_molecules

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["clusters", "water_box"]

SHIPPED_BOXES = {64: "init.xyz", 32: "test.xyz"}  # molecules -> file, the first frame


def water_box(molecules: int) -> Atoms:
    """Return a periodic box of liquid water.

    Raises:
        InputError: for other numbers than 32, 64 and multiples of 64 by a cube.
    """
    from ase.io import iread

    times = round((molecules / 64) ** (1 / 3))
    base = molecules // max(times, 1) ** 3
    if base not in SHIPPED_BOXES or base * max(times, 1) ** 3 != molecules:
        raise InputError(
            f"expected 32, 64, 512 or another 64 k³ molecules, got {molecules}; change --molecules"
        )
    path = resources.files("halfkick.models") / "water" / SHIPPED_BOXES[base]
    frame = next(iread(str(path), index=0))
    box = type(frame)(frame.numbers, frame.positions, cell=frame.cell, pbc=True)
    return box * (times, times, times) if times > 1 else box


def clusters(
    box: Atoms, sizes: Sequence[int], *, rattle: float = 0.1, seed: int = 0
) -> list[Atoms]:
    """Cut clusters of so many molecules out of a box and perturb them.

    Args:
        box: periodic, of small molecules.
        sizes: molecules in each cluster.
        rattle: standard deviation of each coordinate's change, Å.
        seed: of the choice and of the perturbation.
    """
    from ase.geometry import find_mic

    rng = np.random.default_rng(seed)
    molecules = find_molecules(box)
    heads = np.array([m[0] for m in molecules])
    cut = []
    for size in sizes:
        centre = box.positions[rng.choice(heads)]
        _, distance = find_mic(box.positions[heads] - centre, box.cell, box.pbc)
        chosen = np.concatenate([molecules[i] for i in np.argsort(distance)[:size]])
        # whole molecules: each atom by its head, each head by the centre
        head = np.concatenate([np.full(len(m), m[0]) for m in molecules])
        order = np.concatenate(molecules)
        head_of = head[np.argsort(order)][chosen]
        to_head, _ = find_mic(box.positions[head_of] - centre, box.cell, box.pbc)
        within, _ = find_mic(box.positions[chosen] - box.positions[head_of], box.cell, box.pbc)
        positions = to_head + within
        positions = positions + rng.normal(scale=rattle, size=positions.shape)
        cut.append(type(box)(box.numbers[chosen], positions))
    return cut
