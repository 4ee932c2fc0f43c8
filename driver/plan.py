"""What is evaluated together: the requests in flight, each distinct structure once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from halfkick.driver.connection import Connection
from halfkick.driver.field import ForceField
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


@dataclass
class Plan:
    """Evaluates jobs; counts what it evaluated.

    Structures of different force fields that are equal to the last bit, and name the same
    model, go through it once for all their roles.
    """

    evaluations: Counter[str] = field(default_factory=Counter)

    def evaluate(self, jobs: Sequence[Job]) -> list[list[ForceResult]]:
        """The results of each job, in the order of its structures."""
        wanted: dict[tuple, set[Role]] = {}
        structures: dict[tuple, Structure] = {}
        for job in jobs:
            for structure in job.structures:
                key = _key(job.field.model, structure)
                wanted.setdefault(key, set()).add(job.field.role)
                structures.setdefault(key, structure)
        results = {}
        for model, roles in {
            (job.field.model, frozenset(w)) for job in jobs for w in wanted.values()
        }:
            keys = [k for k, w in wanted.items() if k[0] is model and w == roles]
            if keys:
                answers = model.evaluate([structures[key] for key in keys], roles)
                results.update(zip(keys, answers, strict=True))
                self.evaluations["both" if len(roles) > 1 else str(*roles)] += len(keys)
        return [
            [results[_key(job.field.model, s)][job.field.role] for s in job.structures]
            for job in jobs
        ]


def _key(model: ForceModel, structure: Structure) -> tuple:
    return (
        model,
        structure.numbers.tobytes(),
        structure.pbc.tobytes(),
        structure.cell.tobytes(),
        structure.positions.tobytes(),
    )
