"""A model that costs nothing: what remains is the driver's own time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ....models.base import Capabilities, ForceModel, ForceResult, Role, Structure

__all__ = ["NullModel"]


class NullModel(ForceModel):
    """Zero forces, the same arrays each time."""

    name = "costless"
    capabilities = Capabilities(frozenset(Role), frozenset(Role))

    def __init__(self) -> None:
        self._results: dict[int, Mapping[Role, ForceResult]] = {}

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        """Return nothing but zeros."""
        return [self._zeros(len(structure.numbers)) for structure in structures]

    def _zeros(self, n_atoms: int) -> Mapping[Role, ForceResult]:
        if n_atoms not in self._results:
            result = ForceResult(0.0, np.zeros((n_atoms, 3)), np.zeros((3, 3)))
            self._results[n_atoms] = dict.fromkeys(Role, result)
        return self._results[n_atoms]
