"""Connections are read whether or not anybody waits, and the end is said as often as asked for."""

from __future__ import annotations

import socket

import pytest
from wire import EXIT, NEEDINIT, READY, STATUS, init

from halfkick.driver.ipi.input import Address
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
