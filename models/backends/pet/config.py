"""The hyperparameters of a PET, and the small functions that they choose."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch.nn import functional

from ...errors import Unsupported

__all__ = ["PETConfig", "silu"]

KNOWN = {
    "cutoff_function": ("bump", "cosine"),
    "normalization": ("rmsnorm", "layernorm"),
    "activation": ("swiglu", "silu"),
    "transformer_type": ("preln", "postln"),
    "featurizer_type": ("feedforward", "residual"),
}
BUMP_MARGIN = 1e-6  # of the bump function's width, kept clear of its poles


@dataclass(frozen=True)
class PETConfig:
    """The hyperparameters of a PET that matter to what it computes, under metatrain's names.

    Attributes:
        cutoff, cutoff_width: where edges end, and over which width they fade, Å.
        cutoff_function, normalization, activation, transformer_type, featurizer_type: one of
            ``KNOWN`` each, in lower case.
        d_pet, d_node: widths of the embeddings of edges and of nodes.
    """

    cutoff: float
    cutoff_function: str
    cutoff_width: float
    d_pet: int
    d_node: int
    num_heads: int
    num_gnn_layers: int
    num_attention_layers: int
    normalization: str
    activation: str
    attention_temperature: float
    transformer_type: str
    featurizer_type: str

    @classmethod
    def from_backend(cls, backend: Any) -> PETConfig:
        """Read them from metatrain's network or from its TorchScript.

        Raises:
            Unsupported: if it does something that is not known here.
        """
        missing = [f.name for f in fields(cls) if not hasattr(backend, f.name)]
        if missing:
            raise Unsupported(f"no option {', '.join(missing)}")
        values = {f.name: getattr(backend, f.name) for f in fields(cls)}
        for name, known in KNOWN.items():
            values[name] = values[name].lower()
            if values[name] not in known:
                raise Unsupported(f"{name} {values[name]}")
        for name in ("num_neighbors_adaptive", "system_conditioning"):
            if getattr(backend, name, None) is not None:
                raise Unsupported(name)
        return cls(**values)

    def cutoff_factors(self, distances: torch.Tensor) -> torch.Tensor:
        """How much an edge counts, from 1 inside to 0 at the cutoff.

        With ``x = (r - (r_c - w)) / w`` kept within 0 and 1: ``(1 + cos πx) / 2`` (cosine) or
        ``(1 + tanh cot πx) / 2`` (bump).

        ======= ==================
        symbol  variable
        ======= ==================
        ``r``   ``distances``
        ``r_c`` ``cutoff``
        ``w``   ``cutoff_width``
        ``x``   ``scaled``
        ======= ==================

        Args:
            distances: Å, any shape.

        Returns:
            The shape of ``distances``.
        """
        scaled = (distances - (self.cutoff - self.cutoff_width)) / self.cutoff_width
        if self.cutoff_function == "cosine":
            return 0.5 * (1 + torch.cos(torch.pi * scaled.clamp(0, 1)))
        scaled = scaled.clamp(BUMP_MARGIN, 1 - BUMP_MARGIN)
        return 0.5 * (1 + torch.tanh(1 / torch.tan(torch.pi * scaled)))

    def norm(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """Normalise each row of ``x``, shape (n, d), with ``weight`` and ``bias``, shape (d,)."""
        if self.normalization == "layernorm":
            return functional.layer_norm(x, x.shape[1:], weight, bias)
        # the mean as a product of matrices: its gradient takes half the time of torch's rms_norm
        mean = (x * x) @ x.new_full((x.shape[1], 1), 1 / x.shape[1])
        return x * (mean + torch.finfo(x.dtype).eps).rsqrt() * weight

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        """The nonlinearity inside a feed-forward part.

        Args:
            x: shape (n, 2 d) for SwiGLU, values before gates; else (n, d).

        Returns:
            Shape (n, d).
        """
        if self.activation == "silu":
            return silu(x)
        return functional.glu(x, 1)


def silu(x: torch.Tensor) -> torch.Tensor:
    """``x`` of any shape times its logistic function, in place where no gradient needs ``x``."""
    return functional.silu(x, inplace=not x.requires_grad)
