"""What a model's card says to those who serve it: its gap, and the charges it was trained for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from .base import ExpectedGap, Role
from .errors import ModelError

__all__ = ["read_charges", "read_expected_gap"]

Value = TypeVar("Value")


def read_expected_gap(model: Path) -> ExpectedGap | None:
    """Read it from ``MODEL.card.json`` beside ``MODEL.pt``; ``None`` if nothing is said there.

    Raises:
        ModelError: if there is a card that cannot be read.
    """
    return _read(model, _gap, None)


def read_charges(model: Path) -> tuple[frozenset[int], frozenset[int]]:
    """Total charges and multiplicities of what a model was trained on; 0 and 1 without a card.

    Raises:
        ModelError: if there is a card that cannot be read.
    """
    return _read(model, _charges, (frozenset({0}), frozenset({1})))


def _read(model: Path, value: Callable[[Mapping[str, Any]], Value], default: Value) -> Value:
    path = model.with_suffix(".card.json")
    if not path.is_file():
        return default
    try:
        return value(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"expected a model card in '{path}', got {type(error).__name__}: {error}; "
            f"mend it or take it away"
        ) from error


def _gap(card: Mapping[str, Any]) -> ExpectedGap | None:
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


def _charges(card: Mapping[str, Any]) -> tuple[frozenset[int], frozenset[int]]:
    return (
        frozenset(round(charge) for charge in card.get("charges", [0])),
        frozenset(round(spin) for spin in card.get("spins", [1])),
    )
