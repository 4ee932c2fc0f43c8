"""Momenta changed as little as it takes to keep the total energy.

A step of a network leaves an error in the energy. Momenta ``p`` are moved along a direction ``d``
that moves no centre of mass, as far as it takes: ``K(p + λ d) = K_wanted``, a quadratic equation.

===========  ======================================================================================
``global``   ``d = p``: all momenta times one factor
``species``  ``d = σ² p / m``, with ``σ`` the error of the network's momenta by species: of all
             errors ``δp`` that cost this energy, ``Σ p·δp / m``, the most likely ones if they are
             normal
===========  ======================================================================================
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["with_kinetic_energy"]

Array = NDArray[np.float64]


def with_kinetic_energy(
    momenta: Array, masses: Array, wanted: float, weights: Array | float = 1.0
) -> Array | None:
    """The momenta nearest along ``d`` with a kinetic energy; ``None`` if there are none.

    Args:
        momenta: shape (N, 3).
        masses: shape (N,).
        wanted: kinetic energy, in units of the others.
        weights: ``d`` in units of the momenta, before the centre of mass is taken out, shape (N,).
    """
    of_atom = masses[:, None]
    direction = np.broadcast_to(weights, masses.shape)[:, None] * (
        momenta - of_atom * momenta.sum(axis=0) / masses.sum()
    )
    direction -= of_atom * direction.sum(axis=0) / masses.sum()
    a = float((direction**2 / of_atom).sum()) / 2.0
    b = float((direction * momenta / of_atom).sum())
    c = float((momenta**2 / of_atom).sum()) / 2.0 - wanted
    root = b * b - 4.0 * a * c
    if not (a > 0.0 and b > 0.0 and root >= 0.0):
        return None
    # of two roots the one nearer to zero, without a difference of near numbers
    return momenta - 2.0 * c / (b + np.sqrt(root)) * direction
