"""Muon, with matrices of one shape handled together.

``torch.optim.Muon`` does one matrix after the other, which takes twice as long for the many small
ones of PET. Source: K. Jordan et al., https://kellerjordan.github.io/posts/muon (2024); the scale
of its steps is that of Adam as in J. Liu et al., arXiv 2502.16982.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache

import torch

__all__ = ["Muon"]

POLYNOMIAL = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
MOMENTUM = 0.95
TIMING_TRIALS = 5
ADAM_RMS = 0.2  # root mean square of Adam's steps, in learning rates


@cache
def faster_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 where its products are quicker than float32's: a processor may emulate it."""

    def seconds(dtype: torch.dtype) -> float:
        x = torch.ones(8, 128, 256, dtype=dtype, device=device)
        times = []
        for _ in range(TIMING_TRIALS):
            begin = time.perf_counter()
            float((x @ x.mT)[0, 0, 0])  # waits for the device
            times.append(time.perf_counter() - begin)
        return min(times)

    return min(torch.float32, torch.bfloat16, key=seconds)


def orthogonalize(matrices: torch.Tensor) -> torch.Tensor:
    """Return about U Vᵀ of each matrix U S Vᵀ: its singular values become 0.7 to 1.2.

    Newton-Schulz: ``X ← a X + (b A + c A²) X`` with ``A = X Xᵀ``, from ``X = M / |M|``

    ========= ============== =============
    symbol    variable       shape
    ========= ============== =============
    ``M``     ``matrices``   (k, m, n)
    ``X``     ``x``          (k, m, n)
    ``A``     ``square``     (k, m, m)
    ``a b c`` ``POLYNOMIAL``
    ========= ============== =============

    Args:
        matrices: shape (k, m, n) with m ≤ n.

    Returns:
        The same shape.
    """
    a, b, c = POLYNOMIAL
    x = matrices.to(faster_dtype(matrices.device))
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are orthogonal matrices, for the inner matrices of a network.

    Args:
        parameters: matrices.
        lr: a step's root mean square is 0.2 times this, as Adam's.
    """

    def __init__(self, parameters: Sequence[torch.Tensor], lr: float) -> None:
        super().__init__(list(parameters), {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # torch's own also takes a closure
        """Update all matrices that have a gradient.

        ``W ← W - 0.2 η √max(m, n) U Vᵀ`` where ``U S Vᵀ`` is the gradient with momentum, and
        ``m, n`` the shape of ``W``.
        """
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[torch.Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    m, n = sorted(parameter.shape)
                    shapes.setdefault((m, n), []).append(parameter)
            for (_, n), members in shapes.items():
                gradients = [
                    transpose_if_tall(p, self.apply_momentum(p, p.grad))
                    for p in members
                    if p.grad is not None
                ]
                updates = orthogonalize(torch.stack(gradients))
                size = group["lr"] * ADAM_RMS * n**0.5
                for parameter, update in zip(members, updates, strict=True):
                    parameter.sub_(transpose_if_tall(parameter, update), alpha=size)

    def apply_momentum(self, parameter: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """Update the momentum; return the gradient with it (Nesterov), of the same shape."""
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(state["momentum"], MOMENTUM)


def transpose_if_tall(parameter: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Transpose ``matrix`` if ``parameter``, shape (m, n), has more rows than columns."""
    return matrix.mT if parameter.shape[0] > parameter.shape[1] else matrix
