"""Whatever arrives, cut anywhere: the same events, or one clear error."""

from __future__ import annotations

from fuzz import HEADERS, fuzz, outcome, sent
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import CASES, POSDATA

bounded = settings(derandomize=True, deadline=None, max_examples=150)
chunks = st.lists(st.integers(1, 40), min_size=1, max_size=8)
cases = st.sampled_from(CASES)


@bounded
@given(cases, chunks)
def test_protocol_reads_the_same_in_any_chunks(case, sizes):
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
def test_protocol_reads_random_bytes_the_same_in_any_chunks(data, sizes, shared):
    assert outcome([data], sizes, shared) == outcome([data], [], shared)


@settings(bounded, max_examples=500)
@given(cases, chunks, st.data())
def test_protocol_reads_changed_bytes_the_same_in_any_chunks(case, sizes, data):
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
def test_protocol_in_the_wrong_mode_is_an_error(case, shared, sizes):
    """A driver in shared-memory mode where i-PI is not, and the other way round."""
    turns = sent(case)
    result = outcome(turns, sizes, shared)
    assert result == outcome(turns, [], shared)
    assert (result[2] is None) == (shared is case.shared or POSDATA not in b"".join(turns))


def test_protocol_outlives_mutated_conversations():
    report = fuzz(3000, seed=1)
    assert report.ends["well"] < 1500 < report.ends.total() == 3000
