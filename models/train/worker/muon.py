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

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
MOMENTUM = 0.95
TRIALS = 5
LIKE_ADAM = 0.2  # root mean square of Adam's steps, in learning rates


@cache
def quicker(device: torch.device) -> torch.dtype:
    """Return bfloat16 where its products are quicker than float32's: a processor may emulate it."""

    def seconds(dtype: torch.dtype) -> float:
        x = torch.ones(8, 128, 256, dtype=dtype, device=device)
        times = []
        for _ in range(TRIALS):
            begin = time.perf_counter()
            float((x @ x.mT)[0, 0, 0])  # waits for the device
            times.append(time.perf_counter() - begin)
        return min(times)

    return min(torch.float32, torch.bfloat16, key=seconds)


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """Return about U Vᵀ of each matrix U S Vᵀ, (k, m, n) with m ≤ n: singular values 0.7 to 1.2."""
    a, b, c = COEFFICIENTS
    x = matrices.to(quicker(matrices.device))
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
    def step(self) -> None:
        """Update all matrices that have a gradient."""
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[torch.Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    m, n = sorted(parameter.shape)
                    shapes.setdefault((m, n), []).append(parameter)
            for (_, n), members in shapes.items():
                changes = orthogonalised(torch.stack([self.nesterov(p) for p in members]))
                size = group["lr"] * LIKE_ADAM * n**0.5
                for parameter, change in zip(members, changes, strict=True):
                    parameter.sub_(wide(parameter, change), alpha=size)

    def nesterov(self, parameter: torch.Tensor) -> torch.Tensor:
        """Update the momentum; return the gradient with it, at least as wide as high."""
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
        return wide(parameter, parameter.grad.lerp(state["momentum"], MOMENTUM))


def wide(parameter: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Turn ``matrix`` round if ``parameter`` is higher than wide."""
    return matrix.mT if parameter.shape[0] > parameter.shape[1] else matrix
