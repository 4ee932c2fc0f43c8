"""The driver process: reads, evaluates, answers."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any
from weakref import WeakKeyDictionary

from ...models.base import ForceModel, Role
from ..ipi.input import Endpoint, Input, parse_parameters
from .force_field import ForceField
from .guards.guard import Guard
from .journal import Journal
from .predictor import regular
from .scheduler import Job, Plan
from .trust import Trust
from .wire.connection import Connection
from .wire.protocol import Init, Request, unpadded
from .wire.reader import Reader

__all__ = ["ServeOptions", "Server"]

log = logging.getLogger("halfkick")

MANY = 64  # replicas, where i-PI's input does not say how many there are


@dataclass(frozen=True)
class ServeOptions:
    """How to serve.

    Attributes:
        wait_s: how long to try to reach i-PI, at the start and after it dropped a connection.
        source: what is known of i-PI's input.
        report: a JSON file to write at the end, ``None`` for none.
        journal: a file of JSON lines to write as the run goes, ``None`` for none. It is touched
            every second, too, as a sign of life.
        journal_stride: conservative requests between two lines.
        allow_outside, allow_code: what i-PI may name that the input does not, see
            :mod:`halfkick.driver.server.trust`.
    """

    wait_s: float = 60.0
    source: Input = field(default_factory=Input)
    report: Path | None = None
    journal: Path | None = None
    journal_stride: int = 10
    allow_outside: bool = False
    allow_code: bool = False


class Server:
    """Serves any number of force fields of one simulation until i-PI says EXIT.

    Args:
        endpoints: where to connect.
        load: loads the model of a specification; called once for each.
        options: see :class:`ServeOptions`.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        load: Callable[[str], ForceModel],
        options: ServeOptions,
    ) -> None:
        self.options = options
        source = options.source
        replicas = source.replicas if source.endpoints else MANY
        self.guard = Guard(3 * replicas * len(endpoints))
        path = options.journal
        self._journal = None if path is None else Journal(path, options.journal_stride)
        self._load = load
        self._models: dict[str, ForceModel] = {}
        self._fields: WeakKeyDictionary[Connection, ForceField] = WeakKeyDictionary()
        self._known: dict[tuple[tuple[str, str], ...], ForceField] = {}
        for endpoint in endpoints:
            if endpoint.parameters is not None:
                self._force_field(endpoint.parameters)
        inputs = [endpoint.parameters or {} for endpoint in endpoints]
        self._trust = Trust(
            models={p["model"] for p in inputs if "model" in p},
            templates={p["template"] for p in inputs if "template" in p},
            allow_outside=options.allow_outside,
            allow_code=options.allow_code,
        )
        served = {f.identity for f in self._known.values() if f.role is Role.CONSERVATIVE}
        pattern = regular(source.inner_steps, source.replicas) if source.endpoints else None
        self.plan = Plan(pattern, served)
        self._reader = Reader(
            [
                Connection(endpoint.address, f"{endpoint.address}, connection {index}")
                for endpoint in endpoints
                for index in range(endpoint.connections)
            ],
            options.wait_s,
            options.journal,
        )

    def run(self) -> None:
        """Serve until every connection has ended.

        Raises:
            InputError, ModelError, ProtocolError: whatever makes going on impossible.
            GuardError: if forces or positions cannot be right.
        """
        self._reader.start()
        try:
            while (jobs := self._next_jobs()) is not None:
                self._answer(jobs)
        finally:
            self._reader.stop()
            self._write_report()

    def _next_jobs(self) -> list[Job] | None:
        """Wait for requests and take all that have arrived; None at the end."""
        jobs: list[Job] = []
        while True:
            try:
                item = self._reader.next_at_once() if jobs else self._reader.next()
            except Empty:
                return jobs
            if item is None:
                return jobs or None
            if isinstance(item, Exception):
                raise item
            connection, event = item
            if isinstance(event, Init):
                self._fields[connection] = self._asked_for(parse_parameters(event.parameters))
                self.guard.begin()
            else:
                jobs.append(self._job(connection, event))

    def _job(self, connection: Connection, request: Request) -> Job:
        field = self._fields[connection]
        count = unpadded(request.cells, request.positions)
        structures = field.structures(
            request.cells[:count], request.positions[:count], connection.slot
        )
        return Job(connection, field, structures, len(request.positions))

    def _answer(self, jobs: list[Job]) -> None:
        begin = time.perf_counter()
        for job, results in self.plan.evaluate(jobs):
            numbers = job.field.collect(results)
            self.guard.check(job.field, job.structures, numbers)
            job.connection.answer(*job.field.reply(numbers, job.total))
        if self._journal is not None:
            self._journal.worked(time.perf_counter() - begin)
            corrections = sum(job.field.role is Role.CONSERVATIVE for job in jobs)
            if self._journal.is_due(corrections):
                gaps = [pair.now() for pair in self.guard.gaps.pairs.values()]
                self._journal.write(self._counts() | {"gaps": gaps})

    def _asked_for(self, parameters: dict[str, str]) -> ForceField:
        """The force field of an INIT, which may come from another machine."""
        if tuple(sorted(parameters.items())) not in self._known:
            self._trust.check(parameters)
        return self._force_field(parameters)

    def _force_field(self, parameters: dict[str, str]) -> ForceField:
        key = tuple(sorted(parameters.items()))
        if key not in self._known:
            source = self.options.source
            self._known[key] = ForceField(
                parameters, self._model, source.needs_virial, source.is_dynamics
            )
        return self._known[key]

    def _model(self, spec: str) -> ForceModel:
        if spec not in self._models:
            log.info("loading model %s", spec)
            model = self._models[spec] = self._load(spec)
            source = self.options.source
            if not (source.needs_virial or source.shows_virial):
                model.needs_virial = False
                log.info("nothing in the input uses the virial: it is left out, and sent as zero")
        return self._models[spec]

    def _counts(self) -> dict[str, Any]:
        return {"evaluations": self.plan.evaluations, "predictions": self.plan.predictions}

    def _write_report(self) -> None:
        if self.options.report is not None:
            gaps = [pair.report() for pair in self.guard.gaps.pairs.values()]
            report = self._counts() | {"gaps": gaps}
            try:
                self.options.report.write_text(json.dumps(report, indent=1) + "\n")
            except OSError as error:  # what ended the server is what has to be heard
                log.warning("warning: cannot write the report: %s", error)
