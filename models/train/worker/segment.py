"""Segments: frames in a row of the model's own dynamics, which show how fast the gap changes.

Impulses of the gap every M-th step (M. Tuckerman, B. J. Berne, G. J. Martyna, J. Chem. Phys. 97,
1990 (1992)) are a sum in place of an integral. What is slow beside the outer
step they give exactly; what changes within it they fold back onto the vibrations, and that heats.
In a gap of 30 meV/Å the fast part is less than a tenth of the variance, so that a loss of the whole
gap hardly knows it. Its second difference in time does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from ase.data import atomic_masses

from .batch import Frame

__all__ = ["SEGMENT_LENGTH", "Segment", "fast_part", "flatten_by_time"]

SEGMENT_LENGTH = 3
Segment = tuple[Frame, ...]
"""``SEGMENT_LENGTH`` frames of one copy, an outer step apart."""


def flatten_by_time(segments: Sequence[Segment]) -> list[Frame]:
    """All first frames, then all second ones, then all third ones."""
    return [segment[k] for k in range(SEGMENT_LENGTH) for segment in segments]


def fast_part(gap: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Half the second difference of the gap, as strong as it can move an atom.

    ``((g₁ + g₃) / 2 - g₂) √(m_min / m)``

    ============= ==========================
    symbol        variable
    ============= ==========================
    ``g₁ g₂ g₃``  ``first, middle, last``
    ``m``         ``masses``
    ============= ==========================

    With frames 2 fs apart a vibration of period 8 fs counts as it is, one of 4 fs twice, and one of
    80 fs a hundredth. Forces are divided by the square root of the mass over the lightest one,
    since an impulse heats by p²/2m.

    Args:
        gap: direct minus conservative forces of the n atoms of segments, flattened by time, shape
            (3 n, 3).
        numbers: atomic numbers, shape (3 n,).

    Returns:
        Shape (n, 3), in units of ``gap``.
    """
    first, middle, last = gap.chunk(SEGMENT_LENGTH)
    masses = torch.as_tensor(atomic_masses).to(gap)[numbers.chunk(SEGMENT_LENGTH)[0]]
    return (0.5 * (first + last) - middle) * (masses.min() / masses).sqrt()[:, None]
