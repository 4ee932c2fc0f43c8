"""Batches of evaluations: requests in flight, and those predicted to come next.

.. code-block:: text

    requests in flight          evaluations                        passes through a model
    of all connections          distinct (model, structure)        same model and roles

    direct: a, b, b ──────────► a {direct} ──────────────────────► {direct}: a, c
    direct: c ────────────────► b {direct, conservative} ────────► {direct, conservative}: b, e
    conservative: b ──────────► c {direct}                         (short ones first)
    conservative: d ──────────► d {}, known since it was predicted
    conservative: e ──────────► e {direct, conservative}, as the direct ones are predicted

A request is answered as soon as all its structures have the roles it asked for: i-PI goes on with
the direct forces of b while the conservative ones are still being made. What i-PI will ask is drawn
in :mod:`halfkick.driver.server.cycle`, how it is predicted in
:mod:`halfkick.driver.server.predictor`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...models.base import ForceModel, ForceResult, Role, Structure
from ..ipi.flash import ENERGY
from .cycle import UNKNOWN, Foreseen
from .force_field import ForceField
from .predictor import Other, Predictor
from .wire.connection import Connection

__all__ = ["PendingRequest", "Scheduler"]


@dataclass(eq=False)
class PendingRequest:
    """A request that waits for its answer.

    Attributes:
        connection: where it came from.
        force_field: what it asks.
        structures: for which it asks.
    """

    connection: Connection
    force_field: ForceField
    structures: list[Structure]


@dataclass(eq=False)
class Evaluation:
    """One distinct structure, the roles to evaluate it for, and what came of it.

    Attributes:
        model: evaluates it.
        structure: in eV and Å.
        roles: still to evaluate.
        results: known so far.
        predictor: the one that expects a request for the other role; ``None`` if none does.
    """

    model: ForceModel
    structure: Structure
    roles: set[Role]
    results: Mapping[Role, ForceResult]
    predictor: Predictor | None = None


class Scheduler:
    """Evaluates requests.

    Structures that are equal to the last bit, and name the same model, go through it once for
    all roles that are asked or predicted. A wrong prediction costs time, nothing else: an answer is
    always for exactly the bytes that were asked.

    Args:
        foreseen: what is known beforehand of the requests for a model, by the identity of its force
            fields.
        predict: whether to predict requests at all.
        by_place: whether each place has outer steps of its own, as where systems go their own ways.
    """

    def __init__(
        self,
        foreseen: Mapping[Hashable, Foreseen] | None = None,
        *,
        predict: bool = True,
        by_place: bool = False,
    ) -> None:
        self._predict, self._by_place = predict, by_place
        self._foreseen = foreseen or {}
        self._counts: Counter[str] = Counter()
        self._predictors: defaultdict[Hashable, dict[Hashable, Predictor]] = defaultdict(dict)

    @property
    def evaluations(self) -> dict[str, int]:
        """How many structures were evaluated for one role only, and for both in one pass.

        ``energy`` is there if there were some of which the energy alone was asked.
        """
        counts = {name: self._counts[name] for name in ("direct", "conservative", "both")}
        return counts | ({ENERGY: self._counts[ENERGY]} if self._counts[ENERGY] else {})

    @property
    def predictions(self) -> dict[str, int]:
        """How predictions did, in structures.

        Of those that were asked for both forces, ``hits`` were evaluated for both in one pass,
        ``misses`` in two. ``wasted`` were evaluated for both, and asked for one.
        """
        predictors = {p for places in self._predictors.values() for p in places.values()}
        wasted = sum(predictor.wasted for predictor in predictors)
        return {"hits": self._counts["hits"], "misses": self._counts["misses"], "wasted": wasted}

    def evaluate(
        self, requests: Sequence[PendingRequest]
    ) -> Iterator[tuple[PendingRequest, list[Mapping[Role, ForceResult]]]]:
        """Yield each request as soon as it is done, with the results of its structures by role.

        Direct forces come before the conservative ones of the same pass: i-PI goes on with them
        while those are made.

        Raises:
            ModelError: if a model cannot do it.
        """
        evaluations: dict[Hashable, Evaluation] = {}
        for request in requests:
            if request.force_field.energy_only:
                yield request, self._energies(request)
        requests = [request for request in requests if not request.force_field.energy_only]
        waiting = [(request, self._evaluations(request, evaluations)) for request in requests]
        for _ in self._compute(evaluations):
            asked, waiting = waiting, []
            for request, own in asked:
                lacks = request.force_field.lacks
                if not any([lacks(evaluation.results) for evaluation in own]):
                    yield request, [evaluation.results for evaluation in own]
                else:
                    waiting.append((request, own))

    def _energies(self, request: PendingRequest) -> list[Mapping[Role, ForceResult]]:
        """Energies beside forces of zero; they are no part of the cycle."""
        structures = request.structures
        self._counts[ENERGY] += len(structures)
        return [
            {Role.CONSERVATIVE: ForceResult(e, np.zeros_like(s.positions), np.zeros((3, 3)))}
            for e, s in zip(request.force_field.model.energies(structures), structures, strict=True)
        ]

    def _evaluations(
        self, request: PendingRequest, evaluations: dict[Hashable, Evaluation]
    ) -> list[Evaluation]:
        """The evaluations of a request, shared with others where structures are equal."""
        own = []
        force_field = request.force_field
        for structure in request.structures:
            key = force_field.identity, structure.key
            evaluation = evaluations.get(key)
            if evaluation is None:
                evaluation = Evaluation(force_field.model, structure, set(), {})
                evaluations[key] = evaluation
            if self._predict:
                self._use_predictions(evaluation, key, force_field.role, structure.slot)
            evaluation.roles |= force_field.lacks(evaluation.results)
            own.append(evaluation)
        return own

    def _use_predictions(
        self, evaluation: Evaluation, key: tuple[Hashable, Hashable], role: Role, slot: Hashable
    ) -> None:
        """Add the other role where it is predicted, and use what was kept from before."""
        predictor = self._predictor(key, role, slot)
        other = predictor.observe(key, role)
        evaluation.results = {**evaluation.results, **predictor.kept(key)}
        if other is Other.EXPECTED:
            evaluation.predictor = predictor
            evaluation.roles |= set(Role) - evaluation.results.keys()
        elif other is Other.ASKED:
            self._counts["hits" if evaluation.roles or evaluation.results else "misses"] += 1

    def _predictor(self, key: tuple[Hashable, Hashable], role: Role, slot: Hashable) -> Predictor:
        """The predictor of a model's requests, or of those for one of its places."""
        identity, _ = key
        known = self._predictors[identity]
        if not self._by_place or self._foreseen.get(identity, UNKNOWN).never_alone is not None:
            slot = None
        elif slot not in known or key not in known[slot]:
            # places are those of a force field: the other one's is found by a structure of both
            for predictor in known.values():
                if key in predictor:
                    if role is Role.CONSERVATIVE:
                        known[slot] = predictor
                    return predictor
        if slot not in known:
            known[slot] = Predictor(self._foreseen.get(identity, UNKNOWN))
        return known[slot]

    def _compute(self, evaluations: Mapping[Hashable, Evaluation]) -> Iterator[None]:
        """Evaluate together what has the same model and roles; yield whenever more is known."""
        yield  # some may be known already
        groups: defaultdict[tuple[ForceModel, frozenset[Role]], list[Evaluation]]
        groups = defaultdict(list)
        for evaluation in evaluations.values():
            if evaluation.roles:
                groups[evaluation.model, frozenset(evaluation.roles)].append(evaluation)
        # i-PI waits for all direct forces, so that passes without gradients come first
        for (model, roles), members in sorted(groups.items(), key=lambda group: len(group[0][1])):
            self._counts["both" if len(roles) > 1 else str(*roles)] += len(members)
            structures = [evaluation.structure for evaluation in members]
            for results in model.evaluate_in_parts(structures, roles):
                for evaluation, result in zip(members, results, strict=True):
                    evaluation.results = {**evaluation.results, **result}
                yield
        for key, evaluation in evaluations.items():
            if evaluation.predictor is not None:
                evaluation.predictor.keep(key, evaluation.results)
