"""What is evaluated together: requests in flight, and what is foreseen to be asked next."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...models.base import ForceModel, ForceResult, Role, Structure
from .force_field import ForceField
from .predictor import Forecast, Pattern
from .wire.connection import Connection

__all__ = ["Job", "Plan"]

EARLY = 64
"""Conservative requests to remember: at the start they may come before the direct ones."""


@dataclass(eq=False)
class Job:
    """A request that waits for its answer.

    Attributes:
        structures: without the padding of a short batch.
        total: how many results i-PI expects, padding included.
    """

    connection: Connection
    field: ForceField
    structures: list[Structure]
    total: int


@dataclass(eq=False)
class Task:
    """One distinct structure, the roles to evaluate it for, and what came of it.

    Attributes:
        keeper: the forecast by which the conservative role was added.
    """

    model: ForceModel
    structure: Structure
    roles: set[Role]
    results: Mapping[Role, ForceResult]
    keeper: Forecast | None = None


class Plan:
    """Evaluates requests.

    Structures that are equal to the last bit, and name the same model, go through it once for
    all roles that are asked or foreseen. A wrong forecast costs time, nothing else: an answer is
    always for exactly the bytes that were asked.

    Args:
        expected: what is known beforehand of an outer step; ``None`` to learn it.
        corrected: identities of force fields whose conservative forces are served, too: where
            another model corrects the direct forces, nothing is expected.
        predict: whether to foresee requests at all.
    """

    def __init__(
        self,
        expected: Pattern | None = None,
        corrected: Container[Hashable] = (),
        *,
        predict: bool = True,
    ) -> None:
        self._predict = predict
        self._expected, self._corrected = expected, corrected
        self._counts: Counter[str] = Counter()
        self._forecasts: dict[Hashable, Forecast] = {}
        self._early: deque[int] = deque(maxlen=EARLY)

    @property
    def evaluations(self) -> dict[str, int]:
        """How many structures were evaluated for one role only, and for both in one pass."""
        return {name: self._counts[name] for name in ("direct", "conservative", "both")}

    @property
    def predictions(self) -> dict[str, int]:
        """How forecasts did.

        ``hits`` were ready when asked for, ``misses`` followed a direct request unforeseen, and
        ``wasted`` were never asked for.
        """
        wasted = sum(forecast.wasted for forecast in self._forecasts.values())
        return {"hits": self._counts["hits"], "misses": self._counts["misses"], "wasted": wasted}

    def evaluate(
        self, jobs: Sequence[Job]
    ) -> Iterator[tuple[Job, list[Mapping[Role, ForceResult]]]]:
        """Yield each job as soon as it is done, with the results of its structures by role.

        Direct forces come before the conservative ones of the same pass: i-PI goes on with them
        while those are made.
        """
        tasks: dict[Hashable, Task] = {}
        waiting = [(job, self._tasks(job, tasks)) for job in jobs]
        for _ in self._compute(tasks):
            asked, waiting = waiting, []
            for job, own in asked:
                if all([job.field.roles <= task.results.keys() for task in own]):
                    yield job, [task.results for task in own]
                else:
                    waiting.append((job, own))

    def _tasks(self, job: Job, tasks: dict[Hashable, Task]) -> list[Task]:
        """The tasks of a job, shared with others where structures are equal."""
        own = []
        field = job.field
        for structure in job.structures:
            key = field.identity, structure.key
            task = tasks.get(key)
            if task is None:
                task = tasks[key] = Task(field.model, structure, set(), {})
            task.roles |= field.roles
            self._foresee(task, key, job)
            own.append(task)
        return own

    def _foresee(self, task: Task, key: Hashable, job: Job) -> None:
        """Add the conservative role where it is expected, and use what was kept from before."""
        if not self._predict:
            return
        if job.field.role is Role.DIRECT:
            if Role.CONSERVATIVE in task.model.capabilities.roles:
                forecast = self._forecast(job)
                if forecast.direct(key):
                    task.roles.add(Role.CONSERVATIVE)
                    task.keeper = forecast
                if hash(key) in self._early:
                    forecast.conservative(key)
            return
        followed = False
        for forecast in self._forecasts.values():
            followed |= forecast.conservative(key)
            kept = forecast.take(key)
            if kept is not None:
                task.results = kept
                task.roles -= kept.keys()
                self._counts["hits"] += 1
                return
        self._counts["misses"] += followed
        if not followed:
            self._early.append(hash(key))

    def _forecast(self, job: Job) -> Forecast:
        """The forecast of the force field a job is for."""
        address = job.connection.address
        if address not in self._forecasts:
            given = self._expected if job.field.identity in self._corrected else None
            self._forecasts[address] = Forecast(given)
        return self._forecasts[address]

    def _compute(self, tasks: Mapping[Hashable, Task]) -> Iterator[None]:
        """Evaluate tasks of the same model and roles together; yield whenever more is known."""
        yield  # some may be known already
        groups: defaultdict[tuple[ForceModel, frozenset[Role]], list[Task]] = defaultdict(list)
        for task in tasks.values():
            if task.roles:
                groups[task.model, frozenset(task.roles)].append(task)
        # i-PI waits for all direct forces, so that passes without gradients come first
        for (model, roles), members in sorted(groups.items(), key=lambda group: len(group[0][1])):
            self._counts["both" if len(roles) > 1 else str(*roles)] += len(members)
            for results in model.evaluate_in_parts([task.structure for task in members], roles):
                for task, result in zip(members, results, strict=True):
                    task.results = {**task.results, **result}
                yield
        for key, task in tasks.items():
            if task.keeper is not None:
                task.keeper.keep(key, task.results)
