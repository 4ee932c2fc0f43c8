"""The protocol reads what i-PI sends, however it is cut, and refuses the rest."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import pytest
from wire import (
    CASES,
    EXIT,
    FORCEREADY,
    GETFORCE,
    NAMES,
    POSDATA,
    START,
    STATUS,
    WATER,
    computing,
    init,
    integer,
    plain,
    shared,
    single,
    text,
)

from halfkick.driver.errors import ProtocolError
from halfkick.driver.server.wire.protocol import Exit, Protocol, State


def whole(turns):
    return [[turn.sent] for turn in turns]


def bytewise(turns):
    return [[turn.sent[i : i + 1] for i in range(len(turn.sent))] for turn in turns]


def trailing(turns):
    """Each turn with the first bytes of what follows it."""
    stream = [turn.sent for turn in turns] + [STATUS]
    heads = [b"", *(sent[:5] for sent in stream[1:])]
    if turns[-1].events[-1:] == [Exit()]:
        heads[-1] = b""
    return [
        [sent[len(head) :] + following]
        for sent, head, following in zip(stream, heads, heads[1:], strict=False)
    ]


@pytest.mark.parametrize("cut", [whole, bytewise, trailing])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_protocol_conversation_gives_its_events_however_cut(case, cut):
    protocol = Protocol(shared=case.shared)
    for turn, pieces in zip(case.turns, cut(case.turns), strict=True):
        events, replies = [], b""
        for piece in pieces:
            events += protocol.receive(piece)
            replies += protocol.outgoing()
        assert [plain(event) for event in events] == [plain(event) for event in turn.events]
        assert replies == turn.replies
        if turn.answer is not None:
            assert protocol.state is State.COMPUTING
            protocol.answer(*turn.answer)
            assert protocol.outgoing() == turn.answered
    assert protocol.state is case.end
    assert protocol.outgoing() == b""


def test_protocol_request_cannot_be_written_to():
    event = computing()[1]
    for array in (event.cells, event.positions):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


STARTED_BATCH = init("  batch_size:2")
# name, shared, what goes wrong, words of the message, the twin that does not go wrong
FAULTS = [
    ("unknown header", False, b"HELLO       ", "STATUS or INIT or EXIT in state NEEDINIT", STATUS),
    ("lower case", False, b"status      ", "state NEEDINIT, got b'status ", STATUS),
    ("not padded by spaces", False, b"STATUS\0\0\0\0\0\0", "got b'STATUS\\\\x00", STATUS),
    ("not ascii", False, "STATUSé     ".encode()[:12], "state NEEDINIT, got b'STATUS", STATUS),
    ("no init", False, single(0), "in state NEEDINIT, got b'POSDATA ", init("") + single(0)),
    ("init twice", False, init("") * 2, "or POSDATA or EXIT in state READY, got b'INIT ", START),
    ("no positions", False, START + GETFORCE, "state READY, got b'GETFORCE ", START + single(0)),
    (
        "positions twice",
        False,
        START + single(0) * 2,
        "STATUS or GETFORCE or EXIT in state POSITIONS, got b'POSDATA ",
        START + single(0) + STATUS,
    ),
    (
        "status while computing",
        False,
        START + single(0) + GETFORCE + STATUS,
        "EXIT in state COMPUTING, got b'STATUS ",
        START + single(0) + GETFORCE + EXIT,
    ),
    ("our own header", False, FORCEREADY, "state NEEDINIT, got b'FORCEREADY", EXIT),
    ("after exit", False, EXIT + b"E", "no header in state CLOSED", EXIT),
    (
        "no atoms",
        True,
        START + POSDATA + integer(0),
        "number of atoms from 1 to 100000000 after POSDATA in state READY, got 0;",
        START + POSDATA + integer(1),
    ),
    (
        "negative atoms",
        False,
        STARTED_BATCH + POSDATA + integer(-1),
        "number of atoms .* POSDATA in state READY, got -1;",
        STARTED_BATCH + POSDATA + integer(1),
    ),
    (
        "too many atoms",
        False,
        START + POSDATA + bytes(144) + integer(10**8 + 1),
        "number of atoms .* POSDATA in state READY, got 100000001;",
        START + POSDATA + bytes(144) + integer(10**8),
    ),
    (
        "negative length",
        False,
        b"INIT        " + integer(0) + integer(-1),
        "length of parameters from 0 to 1048576 after INIT in state NEEDINIT, got -1;",
        b"INIT        " + integer(0) + integer(0),
    ),
    (
        "long parameters",
        False,
        b"INIT        " + integer(0) + integer(2**20 + 1),
        "length of parameters .* INIT in state NEEDINIT, got 1048577;",
        init("," * 2**20),
    ),
    (
        "long segment name",
        True,
        START + POSDATA + integer(2) + text("a") + integer(2**30),
        "length of segment name 'h' .* POSDATA in state READY",
        START + POSDATA + integer(2) + text("a") + integer(2),
    ),
    # i-PI counts 14 characters and sends 15 bytes
    (
        "parameters not ascii",
        False,
        b"INIT        " + integer(0) + integer(14) + " model : eau é".encode(),
        "ASCII parameters after INIT in state NEEDINIT, got .*; rename",
        init(" model : eau e"),
    ),
    (
        "batch of none",
        False,
        init("  batch_size:0"),
        "batch_size from 1 to 65536 after INIT in state NEEDINIT, got 0;",
        init("  batch_size:1"),
    ),
    (
        "huge batch",
        False,
        init("  batch_size:" + "9" * 10000),
        "batch_size .* INIT in state NEEDINIT, got 999999999;",
        init("  batch_size:65536"),
    ),
]


@pytest.mark.parametrize("name, shm, wrong, message, right", FAULTS, ids=[f[0] for f in FAULTS])
def test_protocol_fault_is_an_error_that_closes(name, shm, wrong, message, right):
    for pieces in ([wrong], [wrong[i : i + 1] for i in range(len(wrong))]):
        protocol = Protocol(shared=shm)
        with pytest.raises(ProtocolError, match=message):
            for piece in pieces:
                protocol.receive(piece)
        assert protocol.state is State.CLOSED
        assert protocol.receive(b"") == []
        with pytest.raises(ProtocolError, match="header in state CLOSED"):
            protocol.receive(STATUS)
        protocol.end_of_stream()
    Protocol(shared=shm).receive(right)


@pytest.mark.parametrize("shm", [False, True])
def test_protocol_end_of_stream_is_an_error_only_within_a_message(shm):
    messages = [STATUS, init(WATER), STATUS, shared(NAMES) if shm else single(0), STATUS, GETFORCE]
    clean = {sum(map(len, messages[:i])) for i in range(len(messages) + 1)}
    stream = b"".join(messages)
    for size in range(len(stream) + 1):
        protocol = Protocol(shared=shm)
        protocol.receive(stream[:size])
        if size in clean:
            protocol.end_of_stream()
        else:
            with pytest.raises(ProtocolError, match=r"expected \d+ bytes .* in state [A-Z]+, got"):
                protocol.end_of_stream()
        assert protocol.state is State.CLOSED


def test_protocol_end_of_stream_names_the_field():
    protocol = Protocol()
    protocol.receive((START + single(0))[:-6])
    message = "48 bytes of positions after POSDATA in state READY, got the end .* after 42;"
    with pytest.raises(ProtocolError, match=message):
        protocol.end_of_stream()


def peak_memory(stream, piece):
    protocol = Protocol()
    protocol.receive(STATUS + init("  batch_size:32"))
    tracemalloc.start()
    try:
        for start in range(0, len(stream), piece):
            protocol.receive(stream[start : start + piece])
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_protocol_memory_follows_what_arrived():
    """Garbage that announces 77 GB costs nothing; 32 beads of 6144 atoms, three times their size.

    The bytes that arrive, the message, and the room the buffer grows into.
    """
    assert peak_memory(POSDATA + integer(10**8) + bytes(1000), 64) < 20_000
    size = 32 * (144 + 24 * 6144)
    peak = peak_memory(POSDATA + integer(6144) + bytes(size), 2**16)
    assert size < peak < 3 * size


def test_protocol_pieces_are_not_searched_again():
    """However small the pieces, the bytes moved are those of the message."""
    taken = []

    class Watched(bytearray):
        def __delitem__(self, which):
            taken.append(which.stop)
            super().__delitem__(which)

    protocol = Protocol()
    protocol.receive(STATUS + init(WATER))
    protocol._buffer = Watched()
    message = single(0)
    for i in range(len(message)):
        protocol.receive(message[i : i + 1])
    assert taken == [12, 144, 4, 48]


def test_protocol_imports_neither_socket_nor_torch():
    code = (
        "import sys, halfkick.driver.server.wire.protocol as _;"
        "print({'socket', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
