"""The gap that a model's card expects between its forces and those that correct them."""

from __future__ import annotations

import json
from pathlib import Path

from .base import ExpectedGap, Role
from .errors import ModelError

__all__ = ["read_expected_gap"]


def read_expected_gap(model: Path) -> ExpectedGap | None:
    """Read it from ``MODEL.card.json`` beside ``MODEL.pt``; ``None`` if nothing is said there.

    Raises:
        ModelError: if there is a card that cannot be read.
    """
    path = model.with_suffix(".card.json")
    if not path.is_file():
        return None
    try:
        card = json.loads(path.read_text())
        gaps = card.get("gap", {})
        if gaps.get("all") is None:
            return None
        reference = card.get("teacher", "its own conservative forces")
        groups = [gap for gap in gaps.values() if isinstance(gap, dict)]
        tails = [1e-3 * float(gap["p999"]) for gap in groups if "p999" in gap]
        return ExpectedGap(
            1e-3 * float(gaps["all"]["rmse"]),
            Role(card.get("role", "direct")),
            reference,
            max(tails, default=None),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"expected a model card in '{path}', got {type(error).__name__}: {error}; "
            f"mend it or take it away"
        ) from error
