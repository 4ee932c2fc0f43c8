"""The options of a PET, and the small functions that they choose."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch.nn import functional

from ...errors import Unsupported

__all__ = ["Shape", "silu"]

KNOWN = {
    "cutoff_function": ("bump", "cosine"),
    "normalization": ("rmsnorm", "layernorm"),
    "activation": ("swiglu", "silu"),
    "transformer_type": ("preln", "postln"),
    "featurizer_type": ("feedforward", "residual"),
}
EDGE = 1e-6  # of the bump function's width, kept clear of its poles


@dataclass(frozen=True)
class Shape:
    """The options of a PET that matter to what it computes, under metatrain's names."""

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
    def of(cls, backend: Any) -> Shape:
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

    def weight(self, distances: torch.Tensor) -> torch.Tensor:
        """How much an edge counts, from 1 to 0 at the cutoff."""
        past = (distances - (self.cutoff - self.cutoff_width)) / self.cutoff_width
        if self.cutoff_function == "cosine":
            return 0.5 * (1 + torch.cos(torch.pi * past.clamp(0, 1)))
        past = past.clamp(EDGE, 1 - EDGE)
        return 0.5 * (1 + torch.tanh(1 / torch.tan(torch.pi * past)))

    def norm(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """Normalise each row."""
        if self.normalization == "layernorm":
            return functional.layer_norm(x, x.shape[1:], weight, bias)
        # the mean as a product of matrices: its gradient takes half the time of torch's rms_norm
        mean = (x * x) @ x.new_full((x.shape[1], 1), 1 / x.shape[1])
        return x * (mean + torch.finfo(x.dtype).eps).rsqrt() * weight

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        """The nonlinearity inside a transformer's feed-forward part."""
        if self.activation == "silu":
            return silu(x)
        return functional.glu(x, 1)


def silu(x: torch.Tensor) -> torch.Tensor:
    """``x`` times its logistic function; overwrites ``x`` where no gradient needs it."""
    return functional.silu(x, inplace=not x.requires_grad)
