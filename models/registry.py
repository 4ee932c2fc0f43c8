"""The kinds of models: what loads each, and whether its name calls code."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Kind", "is_kind", "kind_of"]


@dataclass(frozen=True)
class Kind:
    """One way to make a model from its name.

    Attributes:
        runs_named_code: whether the text names code that would be called.
    """

    runs_named_code: bool = False


KINDS = {
    "ase": Kind(runs_named_code=True),
    "python": Kind(runs_named_code=True),
    "so3lr": Kind(),
    "tblite": Kind(),
    "mace": Kind(),
}


def is_kind(name: str) -> bool:
    """Whether there is such a kind."""
    return name in KINDS


def kind_of(name: str) -> Kind:
    """The kind of that name."""
    return KINDS[name]
