"""The gaps of a run in words: one line for each pair of roles, of however many force fields."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

__all__ = ["describe_gaps"]

Gap = Mapping[str, Any]


def describe_gaps(gaps: Sequence[Gap]) -> list[str]:
    """Lines for a terminal.

    The members of a committee, and replicas with sockets of their own, are told together; the same
    forces of the same model have no gap to each other.

    Args:
        gaps: as the driver reports them, one for each pair of force fields.
    """
    by_roles: dict[tuple[str, str], list[Gap]] = defaultdict(list)
    for gap in gaps:
        if gap["fast"] != gap["slow"]:
            by_roles[_role(gap["fast"]), _role(gap["slow"])].append(gap)
    return [_line(roles, alike) for roles, alike in by_roles.items()]


def _role(name: str) -> str:
    return name.rpartition(", ")[2]


def _line(roles: tuple[str, str], gaps: Sequence[Gap]) -> str:
    names = {(gap["fast"], gap["slow"]) for gap in gaps}
    fast, slow = next(iter(names)) if len(names) == 1 else (f"{role} forces" for role in roles)
    several = f" ({len(gaps)} pairs)" if len(gaps) > 1 else ""
    line = f"gap of {fast} to {slow}{several}: {_mean(gaps):.1f} meV/Å"
    cards = {gap["card_meV_per_A"] for gap in gaps}
    if len(cards) == 1 and (card := cards.pop()) is not None:
        line += f" (its card: {card:.1f})"
    if any(gap["far_above_card"] for gap in gaps):
        line += "; warning: far above its card, it is used outside of what it was made for"
    return line


def _mean(gaps: Sequence[Gap]) -> float:
    """Root mean square over all structures."""
    total = sum(gap["structures"] * gap["rmse_meV_per_A"] ** 2 for gap in gaps)
    return sqrt(total / sum(gap["structures"] for gap in gaps))
