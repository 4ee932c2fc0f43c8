"""Two models as one: the conservative forces of the one, the direct forces of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .base import Capabilities, ForceModel, ForceResult, Role, Structure

__all__ = ["Pair"]


class Pair(ForceModel):
    """For each role the model that gives it, as one model."""

    def __init__(self, models: Mapping[Role, ForceModel]) -> None:
        self._models = dict(models)
        self.name = " + ".join(dict.fromkeys(m.name for m in self._models.values()))
        stress = frozenset(r for r, m in self._models.items() if r in m.capabilities.stress)
        self.capabilities = Capabilities(frozenset(self._models), stress)

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        """Ask each model for its roles, one that has all of them in one pass."""
        for role in roles - self._models.keys():
            self.check((), role)
        results: list[dict[Role, ForceResult]] = [{} for _ in structures]
        for model in {id(m): m for m in self._models.values()}.values():
            asked = frozenset(role for role in roles if self._models[role] is model)
            if asked:
                for result, more in zip(results, model.evaluate(structures, asked), strict=True):
                    result.update(more)
        return [*results]
