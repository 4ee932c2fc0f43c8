"""The driver process: reads, evaluates, answers."""

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any
from weakref import WeakKeyDictionary

from ...models.base import ForceModel, Role
from ..errors import InputError
from ..ipi.flash import ENERGY, STEPPER
from ..ipi.input import IpiInput
from ..ipi.sockets import Socket, parse_parameters
from .cycle import Foreseen, foresee
from .force_field import ForceField, ServedForces
from .guards.energy import EnergyTest
from .guards.guard import Guard
from .journal import Journal
from .limits import max_norm, usual_max_move
from .places import Places
from .scheduler import PendingRequest, Scheduler
from .trust import Trust
from .wire.connection import Connection
from .wire.messages import Init
from .wire.reader import Reader

__all__ = ["ServeOptions", "Server"]

log = logging.getLogger("halfkick")

ASSUMED_REPLICAS = 64  # where i-PI's input does not say how many there are


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
    source: IpiInput = field(default_factory=IpiInput)
    report: Path | None = None
    journal: Path | None = None
    journal_stride: int = 10
    allow_outside: bool = False
    allow_code: bool = False


class Server:
    """Serves any number of force fields of one simulation until i-PI says EXIT.

    Args:
        sockets: where to connect.
        load: loads the model of a specification; called once for each.
        options: see :class:`ServeOptions`.
    """

    def __init__(
        self,
        sockets: Sequence[Socket],
        load: Callable[[str], ForceModel],
        options: ServeOptions,
    ) -> None:
        self.options = options
        source = options.source
        known = bool(source.sockets)
        replicas = source.replicas if known else ASSUMED_REPLICAS
        # contraction and scaled coordinates ask for other structures in between
        places = 3 * replicas
        self.guard = Guard(places * len(sockets))
        self._energy_test = EnergyTest()
        self._places = {s.address: Places(str(s.address), places) for s in sockets}
        path = options.journal
        self._journal = None if path is None else Journal(path, options.journal_stride)
        self._load = load
        self._last: dict[ForceField, ServedForces] = {}  # with an energy
        self._models: dict[str, ForceModel] = {}
        self._force_fields: WeakKeyDictionary[Connection, ForceField] = WeakKeyDictionary()
        self._known: dict[tuple[tuple[str, str], ...], ForceField] = {}
        foreseen = self._foreseen(sockets)
        inputs = [socket.parameters or {} for socket in sockets]
        self._trust = Trust(
            models={p["model"] for p in inputs if "model" in p},
            templates={p["template"] for p in inputs if "template" in p},
            allow_outside=options.allow_outside,
            allow_code=options.allow_code,
        )
        several = len(source.systems) > 1  # which i-PI moves side by side
        self.scheduler = Scheduler(foreseen, by_place=several)
        self._reader = Reader(
            [
                Connection(socket.address, f"{socket.address}, connection {index}")
                for socket in sockets
                for index in range(socket.connections)
            ],
            options.wait_s,
            options.journal,
        )

    def _foreseen(self, sockets: Sequence[Socket]) -> dict[Hashable, Foreseen]:
        """What the input says of the requests for each model, by the identity of force fields."""
        roles: defaultdict[Hashable, dict[str, Role]] = defaultdict(dict)
        for socket in sockets:
            if socket.parameters is not None:
                force_field = self._force_field(socket.parameters)
                if force_field.energy_only:
                    continue  # it is asked for at each step, and in no cycle
                roles[force_field.identity][socket.forcefield] = force_field.role
        systems = self.options.source.systems
        return {identity: foresee(systems, fields) for identity, fields in roles.items()}

    def run(self) -> None:
        """Serve until every connection has ended.

        Raises:
            InputError, ModelError, ProtocolError: whatever makes going on impossible.
            GuardError: if forces or positions cannot be right.
        """
        self._reader.start()
        try:
            while (requests := self._next_requests()) is not None:
                self._answer(requests)
        finally:
            self._reader.stop()
            self._write_report()

    def _next_requests(self) -> list[PendingRequest] | None:
        """Wait for requests and take all that have arrived; None at the end."""
        requests: list[PendingRequest] = []
        for places in self._places.values():
            places.release()
        while True:
            try:
                item = self._reader.next_at_once() if requests else self._reader.next()
            except Empty:
                return requests
            if item is None:
                return requests or None
            if isinstance(item, Exception):
                raise item
            connection, event = item
            if isinstance(event, Init):
                parameters = parse_parameters(event.parameters)
                self._force_fields[connection] = self._asked_for(parameters)
                self.guard.begin()
            else:
                force_field = self._force_fields[connection]
                places = self._places[connection.address]
                structures = force_field.decode(event, connection.slot, places)
                requests.append(PendingRequest(connection, force_field, structures))

    def _answer(self, requests: list[PendingRequest]) -> None:
        begin = time.perf_counter()
        for request, results in self.scheduler.evaluate(requests):
            force_field = request.force_field
            served = force_field.collect(results)
            if Role.CONSERVATIVE in force_field.roles and not force_field.energy_only:
                self._last[force_field] = served
            self.guard.check(force_field, request.structures, served)
            self._energy_test.check(force_field, request.structures)
            request.connection.answer(force_field.encode(served))
        if self._journal is not None:
            self._journal.worked(time.perf_counter() - begin)
            corrections = sum(r.force_field.role is Role.CONSERVATIVE for r in requests)
            if self._journal.is_due(corrections):
                gaps = [pair.now() for pair in self.guard.gaps.pairs.values()]
                self._journal.write(self._counts() | {"gaps": gaps})

    def _asked_for(self, parameters: dict[str, str]) -> ForceField:
        """The force field of an INIT, which may come from another machine."""
        stepper = parameters.pop(STEPPER, None)
        if parameters.get("role") == ENERGY and stepper is None:
            raise InputError(
                "expected i-PI with halfkick's stepper at a force field of role energy, got one "
                "that would integrate its forces of zero; start it by halfkick run input.xml, or "
                "beside halfkick serve by halfkick flash ipi input.xml"
            )
        if tuple(sorted(parameters.items())) not in self._known:
            self._trust.check(parameters)
        return self._force_field(parameters)

    def _force_field(self, parameters: dict[str, str]) -> ForceField:
        key = tuple(sorted(parameters.items()))
        if key not in self._known:
            source = self.options.source
            self._known[key] = ForceField(
                parameters, self._model, source.needs_virial, usual_max_move(source)
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
        return {
            "evaluations": self.scheduler.evaluations,
            "predictions": self.scheduler.predictions,
        }

    def _describe_last(self) -> dict[str, float] | None:
        """The last energy and the largest of its forces, without those that i-PI holds fixed.

        ``None`` unless all that i-PI knows of a structure is one energy.
        """
        source = self.options.source
        if len(self._last) != 1 or not source.systems or source.replicas != 1:
            return None
        (served,) = self._last.values()
        forces = served.forces[-1].copy()
        forces.flat[[*source.systems[0].fixed_coordinates]] = 0.0
        return {
            "energy_eV": float(served.energies[-1]),
            "max_force_eV_per_A": max_norm(forces),
        }

    def _write_report(self) -> None:
        if self.options.report is not None:
            gaps = [pair.report() for pair in self.guard.gaps.pairs.values()]
            report = self._counts() | {"gaps": gaps, "last": self._describe_last()}
            try:
                self.options.report.write_text(json.dumps(report, indent=1) + "\n")
            except OSError as error:  # what ended the server is what has to be heard
                log.warning("warning: cannot write the report: %s", error)
