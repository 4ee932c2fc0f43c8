"""Whatever arrives, cut anywhere: the same events, or one clear error."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import CASES, POSDATA, plain

from halfkick.driver.protocol import Protocol, ProtocolError, State

HEADERS = [
    name.ljust(12).encode()
    for name in ("STATUS", "INIT", "POSDATA", "GETFORCE", "EXIT", "FORCEREADY", "status")
]
# names a state, and a header or a field after one
CLEAR = re.compile(
    r"^expected .*(header|STATUS|INIT|POSDATA|GETFORCE|EXIT).* in state "
    r"(NEEDINIT|READY|POSITIONS|COMPUTING|CLOSED)\b.*; .+",
    re.DOTALL,
)
bounded = settings(derandomize=True, deadline=None, max_examples=150)
chunks = st.lists(st.integers(1, 40), min_size=1, max_size=8)
cases = st.sampled_from(CASES)


def outcome(turns, sizes, shared):
    """Everything a conversation leads to: events, replies, error, end.

    Each turn is a piece of the stream that is followed by an answer where one is owed. Pieces
    are cut to the sizes, taken in turn; empty sizes leave them whole.
    """
    protocol = Protocol(shared=shared)
    events, replies, error, fed = [], b"", None, 0
    try:
        for data in turns:
            start = 0
            while start < len(data):
                size = sizes[fed % len(sizes)] if sizes else len(data)
                events += [plain(event) for event in protocol.receive(data[start : start + size])]
                start += size
                fed += 1
                assert len(protocol._buffer) <= sum(map(len, turns))
            if protocol.state is State.COMPUTING:
                answer(protocol, shared)
        replies = protocol.outgoing()
        protocol.end_of_stream()
    except ProtocolError as caught:
        error = str(caught)
        assert CLEAR.match(error), error
        replies += protocol.outgoing()
        assert protocol.state is State.CLOSED
    return None if error else events, replies, error, protocol.state


def answer(protocol, shared):
    batch, n_atoms = protocol.batch_size, protocol._request.n_atoms
    shapes = (batch,), (batch, n_atoms, 3), (batch, 3, 3)
    protocol.answer(*([None] * 3 if shared else map(np.zeros, shapes)))


def sent(case):
    return [turn.sent for turn in case.turns]


@bounded
@given(cases, chunks)
def test_chunks_never_matter(case, sizes):
    result = outcome(sent(case), sizes, case.shared)
    assert result == outcome(sent(case), [], case.shared)
    assert result[2] is None
    assert len(result[0]) == sum(len(turn.events) for turn in case.turns)


@bounded
@given(
    st.lists(st.binary(max_size=40) | st.sampled_from(HEADERS), max_size=12).map(b"".join),
    chunks,
    st.booleans(),
)
def test_random_bytes(data, sizes, shared):
    assert outcome([data], sizes, shared) == outcome([data], [], shared)


@settings(bounded, max_examples=500)
@given(cases, chunks, st.data())
def test_changed_bytes(case, sizes, data):
    """Bytes changed, put in, taken out, and the rest cut off, anywhere in a valid stream."""
    turns = sent(case)
    which = data.draw(st.integers(0, len(turns) - 1), "turn")
    stream = bytearray(turns[which])
    for _ in range(data.draw(st.integers(1, 4), "changes")):
        where = data.draw(st.integers(0, len(stream)), "where")
        removed = data.draw(st.sampled_from([0, 1, 4, 12, len(stream)]), "removed")
        stream[where : where + removed] = data.draw(
            st.binary(max_size=4) | st.sampled_from(HEADERS), "inserted"
        )
    turns = [*turns[:which], bytes(stream), *turns[which + 1 :]]
    assert outcome(turns, sizes, case.shared) == outcome(turns, [], case.shared)


@bounded
@given(cases, st.booleans(), chunks)
def test_wrong_mode(case, shared, sizes):
    """A driver in shared-memory mode where i-PI is not, and the other way round."""
    turns = sent(case)
    result = outcome(turns, sizes, shared)
    assert result == outcome(turns, [], shared)
    assert (result[2] is None) == (shared is case.shared or POSDATA not in b"".join(turns))
