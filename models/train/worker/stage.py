"""The stages of a recipe, and what they fit.

Direct forces first and conservative ones then are the recipe of F. Bigi, M. F. Langer and
M. Ceriotti, arXiv 2412.11569. The alignment that follows fits the direct forces to the conservative
ones on frames of the model's own dynamics.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..options import TrainOptions

__all__ = ["Stage", "loss_of", "stages_of"]

HUBER_DELTA = 0.3  # times the scale: errors beyond it count linearly
HUBER_TERMS = ("direct", "forces", "gap", "self_generated", "fast")
PRETRAINING_SHARE, ALIGNMENT_SHARE = 0.12, 0.18  # of the hybrid recipe
RESTART_RATE, ALIGNMENT_RATE, FINAL_RATE = 0.4, 0.2, 0.02  # of the highest learning rate
LOSS_WEIGHTS = {
    "direct": 1.0, "forces": 1.0, "gap": 2.0, "self_generated": 1.0, "fast": 1.0,
    "energy": 0.01, "virial": 0.02, "direct_virial": 0.02,
}  # fmt: skip
WEIGHT_GROWTH = {"energy": 100.0, "virial": 500.0, "direct_virial": 100.0, "direct": 0.2}
"""Factors by which weights grow over a training. Energies and virials are sums over atoms, whose
gradients would drown those of the forces early on; in the end each weighs about as much as its
number and its error say (a virial of 2 meV/atom beside forces of 30 meV/Å). The labels matter less
to the direct forces once they follow the conservative ones."""


@dataclass(frozen=True)
class Stage:
    """What a stage fits and how long.

    Attributes:
        name: for the user.
        conservative: whether the energy is differentiated.
        rates: learning rates at its begin and its end, parts of ``highest``.
        share: of the time or the epochs of the whole training.
        highest: learning rate of a fresh network.
        align: whether the direct forces also follow the conservative ones on frames of the
            model's own dynamics.
    """

    name: str
    conservative: bool
    rates: tuple[float, float]
    share: float
    highest: float
    align: bool = False

    def learning_rate(self, progress: float) -> float:
        """The learning rate at ``progress`` (0 to 1)."""
        return self.highest * self.rate(progress)

    def weight_ramp(self, progress: float) -> float:
        """How far loss weights have grown, 0 to 1: as far as the learning rate has fallen.

        A step changes the energy of a frame by what the rate says, however small the gradient is.
        With the weight of the end and a rate of a fifth, energies swing until the forces are lost.
        """
        return 1.0 - self.rate(progress)

    def rate(self, progress: float) -> float:
        """The learning rate, a part of ``highest``."""
        return self.rates[0] + (self.rates[1] - self.rates[0]) * progress


def stages_of(options: TrainOptions) -> list[Stage]:
    """Return the stages of the recipe.

    The learning rate falls once only, over what comes after the direct pre-training. That is short:
    a step of it takes half the time of a conservative one, but direct forces, which have to learn
    what a rotation is, fall more slowly with the number of steps. A checkpoint to start from has
    had it, and begins with a lower rate.
    """
    highest, scratch = options.learning_rate, options.start is None
    first = 1.0 if scratch else RESTART_RATE
    middle, last = ALIGNMENT_RATE * first, FINAL_RATE * first
    if options.recipe == "alignment":
        return [Stage("alignment", True, (middle, last), 1.0, highest, align=True)]
    if options.recipe != "hybrid":
        conservative = options.recipe == "conservative"
        return [Stage(options.recipe, conservative, (first, last), 1.0, highest)]
    share = 1.0 - ALIGNMENT_SHARE - PRETRAINING_SHARE * scratch
    return [
        *[Stage("direct", False, (1.0, 1.0), PRETRAINING_SHARE, highest)] * scratch,
        Stage("conservative", True, (first, middle), share, highest),
        Stage("alignment", True, (middle, last), ALIGNMENT_SHARE, highest, align=True),
    ]


def loss_of(errors: dict[str, torch.Tensor], weight_ramp: float) -> torch.Tensor:
    """Weighted sum of mean losses: squares for energies and virials, Huber for force components.

    ``Σ w G^p <l(e)>`` with ``l(e) = e²``, or for forces beyond ``|e| = δ``: ``δ (2 |e| - δ)``

    ======= ====================================
    symbol  variable
    ======= ====================================
    ``e``   each of ``errors``
    ``w``   ``LOSS_WEIGHTS``
    ``G``   ``WEIGHT_GROWTH``
    ``p``   ``weight_ramp``
    ``δ``   ``HUBER_DELTA``
    ======= ====================================

    The gap of labelled frames counts in the second half only: before, it would pull the direct
    forces away from labels that they know better than the conservative forces do.

    Args:
        errors: what :func:`~.predict.errors` returns, of any shapes, in units of the scale;
            ``self_generated`` is the gap on frames of the model's own dynamics, ``fast`` its fast
            part.
        weight_ramp: as :meth:`Stage.weight_ramp`.

    Returns:
        Shape ().
    """
    terms = []
    for name, error in errors.items():
        weight = LOSS_WEIGHTS[name]
        if name == "gap":
            weight *= max(0.0, 2 * weight_ramp - 1)
        elif name != "direct" or "forces" in errors:
            weight *= WEIGHT_GROWTH.get(name, 1.0) ** weight_ramp
        loss = error.square()
        if name in HUBER_TERMS:
            size = error.abs()
            loss = torch.where(size < HUBER_DELTA, loss, HUBER_DELTA * (2 * size - HUBER_DELTA))
        terms.append(weight * loss.mean())
    return torch.stack(terms).sum()
