"""Connections are read whether or not anybody waits, padding is theirs, the end is said again."""

from __future__ import annotations

import socket

import pytest
from wire import (
    EXIT,
    FORCEREADY,
    GETFORCE,
    NEEDINIT,
    READY,
    STATUS,
    batch,
    init,
    integer,
    numbers,
    plain,
    request,
)

from halfkick.driver.errors import ProtocolError
from halfkick.driver.ipi.transport import Address
from halfkick.driver.server.wire.connection import Connection
from halfkick.driver.server.wire.messages import Init
from halfkick.driver.server.wire.reader import Reader

PATIENCE = 20.0  # s, where something is wrong


@pytest.fixture
def reading():
    """Start a reader; end it."""
    readers = []

    def begin(*connections):
        readers.append(Reader(connections, wait_s=PATIENCE))
        readers[0].start()
        return readers[0]

    yield begin
    readers[0].stop()


@pytest.fixture
def ipi(tmp_path):
    """i-PI's side: a listening socket."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        listener.settimeout(PATIENCE)
        yield listener


def test_status_is_answered_while_the_model_computes(reading, ipi):
    """Nobody waits for requests here, as when the model computes; then somebody does."""
    address = Address("unix", ipi.getsockname(), prefix="")
    reader = reading(Connection(address, "one"))
    peer, _ = ipi.accept()
    with peer:
        peer.settimeout(PATIENCE)
        for _ in range(3):
            peer.sendall(STATUS)
            assert peer.recv(64) == NEEDINIT
        peer.sendall(init("model: water"))
        connection, event = reader.next()
        assert isinstance(event, Init) and connection.slot == "one"
        peer.sendall(STATUS)
        assert peer.recv(64) == READY
        peer.sendall(EXIT)
    ipi.close()
    assert reader.next() is None


def test_the_end_is_said_again(reading):
    reader = reading()
    assert reader.next() is None
    assert reader.next() is None


@pytest.fixture
def connected(ipi):
    """A connection that knows its parameters, and i-PI's end of it."""
    connection = Connection(Address("unix", ipi.getsockname(), prefix=""), "one")
    assert connection.connect()
    peer, _ = ipi.accept()
    with peer:
        peer.settimeout(PATIENCE)
        peer.sendall(init("  batch_size:3"))
        (event,) = connection.receive()
        assert event.batch_size == 3
        yield connection, peer
    connection.close()


def ask(connection, peer, *which):
    """Send a batch and receive it."""
    peer.sendall(batch(*which) + GETFORCE)
    (event,) = connection.receive()
    assert plain(event) == plain(request(*dict.fromkeys(which)))


def test_padding_ends_and_begins_in_the_connection(connected):
    connection, peer = connected
    for which in ((0, 1, 1), (2, 2, 2), (0, 1, 2)):
        ask(connection, peer, *which)
        given, _ = numbers(*dict.fromkeys(which))
        connection.answer(given)
        _, wire = numbers(*which)
        answered = FORCEREADY + wire + integer(0) * 3
        assert peer.recv(len(answered), socket.MSG_WAITALL) == answered


@pytest.mark.parametrize("rows", [(0,), (0, 1, 2)])
def test_padding_hides_no_wrong_answer(connected, rows):
    """Two structures were asked for, and one more is padding."""
    connection, peer = connected
    ask(connection, peer, 0, 1, 1)
    with pytest.raises(ProtocolError, match=r"expected energies of shape \(3,\)"):
        connection.answer(numbers(*rows)[0])
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(1)
