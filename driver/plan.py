"""What is evaluated together: requests in flight, and what is foreseen to be asked next."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from halfkick.driver.connection import Connection
from halfkick.driver.field import ForceField
from halfkick.driver.forecast import Forecast
from halfkick.models.base import ForceModel, ForceResult, Role, Structure

__all__ = ["Job", "Plan"]


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
    """One distinct structure, the roles to evaluate it for, and what came of it."""

    model: ForceModel
    structure: Structure
    roles: set[Role]
    results: dict[Role, ForceResult]
    keeper: Forecast | None = None


class Plan:
    """Evaluates requests.

    Structures that are equal to the last bit, and name the same model, go through it once for
    all roles that are asked or foreseen. A wrong forecast costs time, nothing else: an answer is
    always for exactly the bytes that were asked.

    Attributes:
        predict: whether to foresee requests at all.
    """

    def __init__(self, *, predict: bool = True) -> None:
        self.predict = predict
        self._counts: Counter[str] = Counter()
        self._forecasts: defaultdict[Hashable, Forecast] = defaultdict(Forecast)

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

    def evaluate(self, jobs: Sequence[Job]) -> list[list[Mapping[Role, ForceResult]]]:
        """The results of each job, in the order of its structures, by role."""
        tasks: dict[Hashable, Task] = {}
        keys = [[_key(job.field, s) for s in job.structures] for job in jobs]
        for job, own in zip(jobs, keys, strict=True):
            for key, structure in zip(own, job.structures, strict=True):
                task = tasks.setdefault(key, Task(job.field.model, structure, set(), {}))
                task.roles |= job.field.roles
                self._foresee(task, key, job)
        self._compute([task for task in tasks.values() if task.roles])
        for key, task in tasks.items():
            if task.keeper is not None:
                task.keeper.keep(key, task.results[Role.CONSERVATIVE])
        return [[tasks[key].results for key in own] for own in keys]

    def _foresee(self, task: Task, key: Hashable, job: Job) -> None:
        """Add the conservative role where it is expected, and use what was kept from before."""
        if not self.predict:
            return
        if job.field.role is Role.DIRECT:
            if Role.CONSERVATIVE in task.model.capabilities.roles:
                forecast = self._forecasts[job.connection.address]
                if forecast.direct(key):
                    task.roles.add(Role.CONSERVATIVE)
                    task.keeper = forecast
            return
        followed = False
        for forecast in self._forecasts.values():
            followed |= forecast.conservative(key)
            kept = forecast.take(key)
            if kept is not None:
                task.results[Role.CONSERVATIVE] = kept
                task.roles.discard(Role.CONSERVATIVE)
                self._counts["hits"] += 1
                return
        self._counts["misses"] += followed

    def _compute(self, tasks: Sequence[Task]) -> None:
        """Evaluate those with the same model and roles together."""
        groups: defaultdict[tuple[ForceModel, frozenset[Role]], list[Task]] = defaultdict(list)
        for task in tasks:
            groups[task.model, frozenset(task.roles)].append(task)
        for (model, roles), members in groups.items():
            answers = model.evaluate([task.structure for task in members], roles)
            for task, answer in zip(members, answers, strict=True):
                task.results.update(answer)
            self._counts["both" if len(roles) > 1 else str(*roles)] += len(members)


def _key(field: ForceField, structure: Structure) -> Hashable:
    return field.identity, structure.cell.tobytes(), structure.positions.tobytes()
