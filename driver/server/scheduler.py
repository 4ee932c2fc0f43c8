"""Batches of evaluations: requests in flight, and those predicted to come next.

.. code-block:: text

    requests in flight          evaluations                        passes through a model
    of all connections          distinct (model, structure)        same model and roles

    direct: a, b, b ──────────► a {direct} ──────────────────────► {direct}: a, c
    direct: c ────────────────► b {direct, conservative} ────────► {direct, conservative}: b
    conservative: b ──────────► c {direct}                         (short ones first)
    conservative: d ──────────► d {}, known since it was predicted

A request is answered as soon as all its structures have the roles it asked for: i-PI goes on with
the direct forces of b while the conservative ones are still being made. What an outer step looks
like, and how the conservative role of a structure is predicted, stands in
:mod:`halfkick.driver.server.predictor`.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...models.base import ForceModel, ForceResult, Role, Structure
from ..ipi.transport import Address
from .force_field import ForceField
from .predictor import Pattern, Predictor
from .wire.connection import Connection

__all__ = ["PendingRequest", "Scheduler"]

MAX_EARLY_REQUESTS = 64
"""Conservative requests to remember: at the start they may come before the direct ones."""


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
        predictor: the one that added the conservative role; ``None`` if it was asked for.
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
        pattern: what is known beforehand of an outer step; ``None`` to learn it.
        corrected: identities of force fields whose conservative forces are served, too: where
            another model corrects the direct forces, nothing is predicted.
        predict: whether to predict requests at all.
        by_place: whether each place has outer steps of its own, as where systems go their own ways.
    """

    def __init__(
        self,
        pattern: Pattern | None = None,
        corrected: Container[Hashable] = (),
        *,
        predict: bool = True,
        by_place: bool = False,
    ) -> None:
        self._predict, self._by_place = predict, by_place
        self._pattern, self._corrected = pattern, corrected
        self._counts: Counter[str] = Counter()
        self._predictors: dict[tuple[Address, Hashable], Predictor] = {}
        self._early: deque[int] = deque(maxlen=MAX_EARLY_REQUESTS)

    @property
    def evaluations(self) -> dict[str, int]:
        """How many structures were evaluated for one role only, and for both in one pass."""
        return {name: self._counts[name] for name in ("direct", "conservative", "both")}

    @property
    def predictions(self) -> dict[str, int]:
        """How predictions did.

        ``hits`` were ready when asked for, ``misses`` followed a direct request unpredicted, and
        ``wasted`` were never asked for.
        """
        wasted = sum(predictor.wasted for predictor in self._predictors.values())
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
        waiting = [(request, self._evaluations(request, evaluations)) for request in requests]
        for _ in self._compute(evaluations):
            asked, waiting = waiting, []
            for request, own in asked:
                roles = request.force_field.roles
                if all([roles <= evaluation.results.keys() for evaluation in own]):
                    yield request, [evaluation.results for evaluation in own]
                else:
                    waiting.append((request, own))

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
            evaluation.roles |= force_field.roles
            if self._predict:
                self._use_predictions(evaluation, key, request)
            own.append(evaluation)
        return own

    def _use_predictions(
        self, evaluation: Evaluation, key: Hashable, request: PendingRequest
    ) -> None:
        """Add the conservative role where it is predicted, and use what was kept from before."""
        if request.force_field.role is Role.DIRECT:
            if Role.CONSERVATIVE in evaluation.model.capabilities.roles:
                predictor = self._predictor(request, evaluation.structure.slot)
                if predictor.observe_direct(key):
                    evaluation.roles.add(Role.CONSERVATIVE)
                    evaluation.predictor = predictor
                if hash(key) in self._early:
                    predictor.observe_conservative(key)
            return
        followed = False
        for predictor in self._predictors.values():
            followed |= predictor.observe_conservative(key)
            kept = predictor.take(key)
            if kept is not None:
                evaluation.results = kept
                evaluation.roles -= kept.keys()
                self._counts["hits"] += 1
                return
        self._counts["misses"] += followed
        if not followed:
            self._early.append(hash(key))

    def _predictor(self, request: PendingRequest, slot: Hashable) -> Predictor:
        """The predictor of the force field, or of its place, that a request is for."""
        key = request.connection.address, slot if self._by_place else None
        if key not in self._predictors:
            known = request.force_field.identity in self._corrected
            self._predictors[key] = Predictor(self._pattern if known else None)
        return self._predictors[key]

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
