"""The protocol against i-PI's own end of the socket, in every layout it speaks."""

from __future__ import annotations

import json
import math
import socket
import threading
from contextlib import closing, contextmanager
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ipi.engine.forcefields import ForceRequest
from ipi.interfaces.sockets import Driver, InvalidSize, SHMDriver
from ipi.interfaces.utils import parse_extra
from wire import WATER, computing

from halfkick.driver.errors import ProtocolError
from halfkick.driver.server.wire.answer import Answer
from halfkick.driver.server.wire.protocol import (
    Exit,
    Init,
    Protocol,
    Request,
    Segments,
    SharedRequest,
)

N_ATOMS = 5


def evaluate(cells, positions):
    """Energies, forces, virials and extras in which every number tells where it comes from."""
    energies = positions.sum((1, 2))
    virials = cells + np.arange(9.0).reshape(3, 3)
    extras = [json.dumps({"energy": energy}) if energy > 0 else "" for energy in energies]
    return energies, -2.0 * positions, virials, extras


def expected(request):
    energies, forces, virials, extras = evaluate(
        request["cell"][0][None], request["pos"][request["active"]].reshape(1, -1, 3)
    )
    whole = np.zeros_like(request["pos"])
    whole[request["active"]] = forces.ravel()
    return energies[0], whole, virials[0], parse_extra(extras[0])


class Client(threading.Thread):
    """A driver in a few lines."""

    def __init__(self, sock, shared):
        super().__init__(daemon=True)
        self.sock = sock
        self.protocol = Protocol(shared=shared)
        self.events = []
        self.segments = {}

    def run(self):
        with self.sock:
            while data := self.sock.recv(100):
                for event in self.protocol.receive(data):
                    self.events.append(event)
                    if isinstance(event, Segments):
                        self.segments = {k: SharedMemory(name) for k, name in event.names.items()}
                    if isinstance(event, Request | SharedRequest):
                        self.answer(event)
                if reply := self.protocol.outgoing():
                    self.sock.sendall(reply)
            self.protocol.end_of_stream()
        for segment in self.segments.values():
            segment.close()

    def view(self, kind, *shape):
        return np.ndarray(shape, np.float64, self.segments[kind].buf)

    def answer(self, request):
        batch, n = self.protocol.batch_size, request.n_atoms
        if isinstance(request, Request):
            *numbers, extras = evaluate(request.cells, request.positions)
            self.protocol.answer(Answer(*numbers), extras)
            return
        *numbers, extras = evaluate(
            self.view("h", batch, 3, 3).copy(), self.view("pos", batch, n, 3).copy()
        )
        for kind, values in zip(("pot", "force", "vir"), numbers, strict=True):
            self.view(kind, *values.shape)[...] = values
        self.protocol.answer(None, extras)


@contextmanager
def conversation(shared, batch_size):
    """i-PI's end of a connection, and a client at the other, ended by i-PI's EXIT."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.settimeout(5.0)
        driver = (SHMDriver if shared else Driver)(theirs)
    driver.batch_size = batch_size
    client = Client(ours, shared)
    client.start()
    with closing(driver):
        driver.get_status()
        yield driver, client
        driver.shutdown()
        client.join()
    assert client.events[-1] == Exit()


def requests(count, active=None):
    rng = np.random.default_rng(count)
    cells = rng.normal(size=(count, 3, 3))
    return [
        ForceRequest(
            id=i,
            pos=rng.normal(size=3 * N_ATOMS),
            active=np.arange(3 * N_ATOMS) if active is None else active,
            cell=(cells[i], np.linalg.inv(cells[i])),
            pars=WATER,
            offset=0.0,
            status="Queued",
        )
        for i in range(count)
    ]


def classic(driver, reqs):
    for request in reqs:
        driver.dispatch(request)


def consolidated(driver, reqs):
    for request in reqs:
        assert driver.dispatch_send(request)
        assert driver.dispatch_recv(request)


def batched(driver, reqs):
    """In threes, the last one short."""
    for start in range(0, len(reqs), 3):
        assert driver.dispatch_send_batch(reqs[start : start + 3])
        assert driver.dispatch_recv_batch(reqs[start : start + 3])


@pytest.mark.parametrize("active", [None, np.arange(3, 9)], ids=["all", "active"])
@pytest.mark.parametrize("shared", [False, True], ids=["unix", "shm"])
@pytest.mark.parametrize("dispatch, batch_size", [(classic, 1), (consolidated, 1), (batched, 3)])
def test_ipi_gets_what_was_computed(dispatch, batch_size, shared, active):
    reqs = requests(7, active)
    with conversation(shared, batch_size) as (driver, client):
        dispatch(driver, reqs)
    for request in reqs:
        assert request["status"] == "Done"
        energy, forces, virial, extras = request["result"]
        right = expected(request)
        assert energy == right[0]
        np.testing.assert_array_equal(forces, right[1])
        np.testing.assert_array_equal(virial, right[2])
        assert extras == right[3]
    assert client.events[0] == Init(0, WATER, batch_size)
    asked = [event for event in client.events if isinstance(event, Request | SharedRequest)]
    assert len(asked) == math.ceil(len(reqs) / batch_size)
    if not shared and batch_size == 3:
        assert [len(event.without_padding().positions) for event in asked] == [3, 3, 1]


def reply(*atoms):
    """The bytes of an answer for each number of atoms, by a protocol that was asked for it."""
    protocol, _ = computing()
    protocol._request = SharedRequest(*atoms)
    protocol.answer(Answer(np.zeros(1), np.zeros((1, *atoms, 3)), np.zeros((1, 3, 3))))
    return protocol.outgoing()


@pytest.mark.parametrize("n_atoms", [N_ATOMS, N_ATOMS + 1])
def test_ipi_raises_on_the_answers_that_are_refused(n_atoms):
    """A wrong number of atoms, sent past the check, is what kills i-PI's polling thread."""
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(Driver(theirs)) as driver:
        ours.sendall(reply(n_atoms))
        if n_atoms == N_ATOMS:
            assert driver._recv_forces_bulk(N_ATOMS)[0] == 0.0
        else:
            with pytest.raises(InvalidSize):
                driver._recv_forces_bulk(N_ATOMS)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.sampled_from(["raw", "x"]),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["raw", "x"]), inner),
        max_leaves=5,
    ).map(json.dumps)
)
@example('{"raw": 0}')
@example('{"x": {"raw": 0}}')
@example(" \n")
@example("1" * 5000)
@example("[" * 100_000)
def test_extras_are_refused_exactly_when_ipi_would_raise(extra):
    try:
        parse_extra(extra)
        accepted = True
    except (TypeError, ValueError):
        accepted = False
    protocol, _ = computing()
    answer = Answer(np.zeros(1), np.zeros((1, 2, 3)), np.zeros((1, 3, 3))), [extra]
    if accepted:
        protocol.answer(*answer)
        assert protocol.outgoing().endswith(extra.encode())
    else:
        with pytest.raises(ProtocolError, match="extras for FORCEREADY in state COMPUTING"):
            protocol.answer(*answer)
        assert protocol.outgoing() == b""
