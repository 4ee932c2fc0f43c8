"""Labels of atoms, and the elements that a model takes them for."""

from __future__ import annotations

__all__ = ["element"]

ISOTOPES = {
    **dict.fromkeys(("D", "T", "Z"), "H"),
    **{"C13": "C", "C14": "C", "O17": "O", "O18": "O", "Cl37": "Cl", "Br81": "Br"},
}
"""Labels to which i-PI gives a mass of their own (``Elements`` in ``ipi.utils.units``); ``Z`` is
what it calls an atom between hydrogen and deuterium. For a model they are the element."""


def element(label: str) -> str:
    """The element of a label as its symbol is written; of no element, the label itself."""
    return ISOTOPES.get(label) or label.capitalize()
