"""The stages of a recipe, and what they fit."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from halfkick.models.train.options import TrainOptions

__all__ = ["Stage", "loss_of", "stages_of"]

HUBER = 0.3  # times the scale: errors beyond it count linearly
FORCES = ("direct", "forces", "gap")
WEIGHTS = {
    "direct": 1.0, "forces": 1.0, "gap": 1.5,
    "energy": 0.01, "virial": 0.02, "direct_virial": 0.02,
}  # fmt: skip
GROWTH = {"energy": 100.0, "virial": 20.0, "direct_virial": 20.0}
"""Factors by which weights grow over a training. Energies and virials are sums over atoms, whose
gradients would drown those of the forces early on."""


@dataclass(frozen=True)
class Stage:
    """What a stage fits and how long.

    Attributes:
        name: for the user.
        conservative: whether the energy is differentiated.
        learning_rate: the highest one; it falls to zero over the stage.
        share: of the time or the epochs of the whole training.
        grow: whether weights grow (``GROWTH``) over the stage; else they stay where they are,
            early (False) or, in the alignment, late.
        align: whether the direct forces also follow the conservative ones on frames of the
            model's own dynamics.
    """

    name: str
    conservative: bool
    learning_rate: float
    share: float
    grow: bool = True
    align: bool = False

    def ripeness(self, progress: float) -> float:
        """How far weights have grown, 0 to 1."""
        return 1.0 if self.align else progress * self.grow


def stages_of(options: TrainOptions) -> list[Stage]:
    """Return the stages of the recipe."""
    fresh = options.learning_rate
    later = 0.4 * fresh
    first = fresh if options.start is None else later
    if options.recipe == "direct":
        return [Stage("direct", False, first, 1.0)]
    if options.recipe == "conservative":
        return [Stage("conservative", True, first, 1.0)]
    return [
        Stage("direct", False, first, 0.45, grow=False),
        Stage("conservative", True, later, 0.42),
        Stage("alignment", True, 0.15 * later, 0.13, align=True),
    ]


def loss_of(found: dict[str, torch.Tensor], ripeness: float) -> torch.Tensor:
    """Weighted sum of ``errors``: squares for energies and virials, Huber for force components.

    The gap counts in the second half only: before, it would pull the direct forces away from
    labels that they know better than the conservative forces do.
    """
    terms = []
    for key, error in found.items():
        if key in FORCES:
            size = error.abs()
            huber = torch.where(size < HUBER, error.square(), HUBER * (2 * size - HUBER))
            late = max(0.0, 2 * ripeness - 1) if key == "gap" else 1.0
            terms.append(late * WEIGHTS[key] * huber.mean())
        else:
            terms.append(WEIGHTS[key] * GROWTH[key] ** ripeness * error.square().mean())
    return torch.stack(terms).sum()
