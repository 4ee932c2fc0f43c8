"""Strides that ring polymers bear, by linear theory: the springs between beads make motions faster.

In normal modes the springs add to the stiffness of each mode, and free motion under them is exact.
The gap pumps modes that it acts on: all of them, or those that contraction keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..dynamics.ring_polymer import spring_frequencies
from .advice import GROWTH_LIMIT, STRIDES
from .modes import Block, stride_growth
from .stability import strides_within

__all__ = ["RingStride", "ring_strides"]


@dataclass(frozen=True)
class RingStride:
    """The longest stride that some number of beads bears.

    Attributes:
        beads: of the ring polymer; one is a classical particle.
        corrected: beads that the correction acts on.
        period_fs: of the fastest motion that it acts on.
        stride: the longest M up to which no stiff amplitude grows by more than 1/ps; 0 for none.
        outer_fs: the outer step that it makes.
    """

    beads: int
    corrected: int
    period_fs: float
    stride: int
    outer_fs: float


def ring_strides(
    blocks: Sequence[Block],
    vibration_fs: float,
    inner_fs: float,
    beads: Sequence[int],
    contraction: int | None,
    temperature_K: float,
) -> list[RingStride]:
    """What each number of beads bears, corrected on all of them and on contracted ones.

    Args:
        blocks: stiffness of gap and direct force around stiff bonds.
        vibration_fs: period of the fastest vibration.
        inner_fs: the inner step.
        beads: numbers of beads.
        contraction: beads that corrections are contracted to, too; ``None`` for no more.
        temperature_K: of the system.
    """
    rows = []
    for count in beads:
        on = {count, contraction} if contraction is not None and contraction < count else {count}
        for corrected in sorted(on, reverse=True):
            springs = spring_frequencies(count, temperature_K, corrected)
            rates = stride_growth(blocks, inner_fs, STRIDES, springs)
            stride = strides_within([rate / GROWTH_LIMIT for rate in rates], 1.0)
            period = 2.0 * np.pi / np.hypot(2.0 * np.pi / vibration_fs, springs[-1])
            rows.append(RingStride(count, corrected, float(period), stride, stride * inner_fs))
    return rows
