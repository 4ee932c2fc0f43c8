"""Two models as one: the conservative forces of the one, the fast forces of the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .base import Capabilities, ForceModel, ForceResult, Inputs, Role, Structure

__all__ = ["AsDirect", "Pair"]


class Pair(ForceModel):
    """For each role the model that gives it, as one model.

    Args:
        models: for each role.
        inputs: what each is told besides, in place of what the structures say.
    """

    def __init__(
        self, models: Mapping[Role, ForceModel], inputs: Mapping[Role, Inputs] | None = None
    ) -> None:
        self._models = dict(models)
        self._inputs = dict(inputs or {})
        self.name = " + ".join(dict.fromkeys(m.name for m in self._models.values()))
        stress = frozenset(r for r, m in self._models.items() if r in m.capabilities.stress)
        ranges = [m.capabilities.cutoff for m in self._models.values()]
        longest = max((r for r in ranges if r is not None), default=None)
        self.capabilities = Capabilities(frozenset(self._models), stress, cutoff=longest)

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        """Ask each model for its roles, one that has all of them in one pass."""
        groups: defaultdict[Hashable, set[Role]] = defaultdict(set)
        for role in roles:
            if role not in self._models:
                self.check((), role)
            told = self._inputs.get(role)
            groups[self._models[role], told and told.key].add(role)
        results: list[dict[Role, ForceResult]] = [{} for _ in structures]
        for asked in groups.values():
            role = next(iter(asked))
            told = self._inputs.get(role)
            own = structures if told is None else [replace(s, inputs=told) for s in structures]
            answers = self._models[role].evaluate(own, frozenset(asked))
            for result, more in zip(results, answers, strict=True):
                result.update(more)
        return [*results]


class AsDirect(ForceModel):
    """A conservative model whose forces take the place of direct ones, which another corrects."""

    def __init__(self, model: ForceModel) -> None:
        self._model = model
        self.name = model.name
        own = model.capabilities
        stress = frozenset({Role.DIRECT}) if Role.CONSERVATIVE in own.stress else frozenset[Role]()
        roles = frozenset({Role.DIRECT})
        self.capabilities = replace(own, roles=roles, stress=stress, outputs={})

    @property
    def needs_virial(self) -> bool:  # type: ignore[override]  # an attribute of the model's
        """As of the model."""
        return self._model.needs_virial

    @needs_virial.setter
    def needs_virial(self, value: bool) -> None:
        """Set it for the model."""
        self._model.needs_virial = value

    def check(self, numbers: Sequence[int] | NDArray[np.int_], role: Role) -> None:
        """Raise ModelError as the model does, and for conservative forces."""
        super().check(numbers, role)
        self._model.check(numbers, Role.CONSERVATIVE)

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        """Evaluate the conservative forces and call them direct."""
        for role in roles:
            self.check((), role)
        results = self._model.evaluate(structures, frozenset({Role.CONSERVATIVE}))
        return [{Role.DIRECT: replace(r[Role.CONSERVATIVE], energy=0.0)} for r in results]
