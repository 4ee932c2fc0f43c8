"""Muon against torch's own."""

from __future__ import annotations

import pytest
import torch

from halfkick.models.train.worker import muon
from halfkick.models.train.worker.muon import Muon


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 1e-5), ("float32", 5e-4)])
def test_muon_equals_that_of_torch(monkeypatch, dtype, tolerance):
    """All matrices of a shape at once, high and wide ones, as one after the other in bfloat16."""
    assert muon.faster_dtype(torch.device("cpu")) in (torch.float32, torch.bfloat16)
    monkeypatch.setattr(muon, "faster_dtype", lambda device: getattr(torch, dtype))
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(s)) for s in ((8, 16), (16, 8), (12, 12), (8, 16))]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    starts = [p.detach().clone() for p in ours]
    optimizers = (
        Muon(ours, lr=0.01),
        torch.optim.Muon(theirs, lr=0.01, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(3):
        for one, two in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            two.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, two, start in zip(ours, theirs, starts, strict=True):
        assert torch.allclose(one, two, rtol=0.0, atol=tolerance)
        assert (one - start).abs().max() > 5 * tolerance
