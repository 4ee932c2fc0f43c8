"""A second model for the tests: the toy with other forces, and a card.

Named in an input as ``python:student:student?scale=0.9&card=30``, or
``python:student:fitted?path=FILE``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pairfit import PairFit
from toy import Toy

from halfkick.models.base import ExpectedGap, ForceResult, Role, Structure
from halfkick.models.card import read_expected_gap


class Student(Toy):
    """Both heads of the toy, its forces times ``scale``.

    Args:
        scale: 1 is the toy itself.
        card: gap of the direct forces in meV/Å on the model's card; 0 for no card.
        role: whose gap stands on the card.
        tail: its 99.9th percentile; 0 for none.
    """

    name = "student"

    def __init__(
        self, *, scale: float = 0.9, card: float = 0.0, role: str = "direct", tail: float = 0.0
    ) -> None:
        super().__init__()
        self._scale = scale
        if card:
            self.expected_gap = ExpectedGap(1e-3 * card, Role(role), "toy", 1e-3 * tail or None)

    def _evaluate(self, structure: Structure, role: Role) -> ForceResult:
        result = super()._evaluate(structure, role)
        return replace(
            result,
            energy=self._scale * result.energy,
            forces=self._scale * result.forces,
            virial=self._scale * result.virial,
        )


def student(**options: float | str) -> Student:
    """Make it."""
    return Student(**options)


def fitted(path: str) -> PairFit:
    """A student that was distilled, with the card beside it."""
    model = PairFit(Path(path))
    model.expected_gap = read_expected_gap(Path(path))
    return model
