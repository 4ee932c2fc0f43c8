"""Answers are checked before a byte of them is sent; padding is told from structures."""

from __future__ import annotations

import numpy as np
import pytest
from wire import (
    EXIT,
    FORCEREADY,
    GETFORCE,
    GIVEN_0,
    GIVEN_B,
    POSITIONS,
    READY_0,
    WIRE_B,
    H,
    computing,
    integer,
    single,
)

from halfkick.driver.errors import ProtocolError
from halfkick.driver.server.wire.answer import Answer
from halfkick.driver.server.wire.messages import Request
from halfkick.driver.server.wire.protocol import State

ONES = np.ones(2), np.ones((2, 2, 3)), np.ones((2, 3, 3)), ["", '{"raw_data": 1}']


def changed(place, value):
    return (*ONES[:place], value, *ONES[place + 1 :])


def with_one(place, value):
    array = ONES[place].copy()
    array.flat[-1] = value
    return changed(place, array)


@pytest.mark.parametrize("shm", [False, True])
@pytest.mark.parametrize(
    "wrong, message",
    [
        (changed(0, np.ones(3)), r"energies of shape \(2,\) .* got \(3,\)"),
        (changed(0, 1.0), r"energies of shape \(2,\) .* got \(\)"),
        (changed(1, np.ones((2, 3, 3))), r"forces of shape \(2, 2, 3\) .* got \(2, 3, 3\)"),
        (changed(1, np.ones((2, 6))), r"forces of shape \(2, 2, 3\) .* got \(2, 6\)"),
        (changed(1, [[1.0], [1.0, 2.0]]), "forces of shape .* got list"),
        (changed(1, None), "forces of shape"),
        (changed(2, np.ones((2, 6))), r"virials of shape \(2, 3, 3\) .* got \(2, 6\)"),
        (with_one(0, np.inf), "finite energies"),
        (with_one(1, np.nan), "finite forces"),
        (with_one(2, -np.inf), "finite virials"),
        (changed(3, ["", "", ""]), "2 extras .* got 3"),
        (changed(3, []), "2 extras .* got 0"),
        (changed(3, ["", '{"raw": 1}']), "key 'raw'"),
        (changed(3, ["", "[1, 2]"]), "JSON object"),
        (changed(3, ["12", ""]), "JSON object"),
    ],
)
def test_refused_answer_queues_nothing(wrong, message, shm):
    protocol, _ = computing(2, shm=shm)
    with pytest.raises(ProtocolError, match=f"{message}.*"):
        protocol.answer(Answer(*wrong[:3]), wrong[3])
    assert protocol.state is State.COMPUTING
    assert protocol.outgoing() == b""
    protocol.answer(Answer(*ONES[:3]), ONES[3])
    assert protocol.outgoing().startswith(FORCEREADY)


def test_numbers_are_left_out_only_with_shared_memory():
    protocol, _ = computing(2)
    with pytest.raises(ProtocolError, match="expected numbers for FORCEREADY"):
        protocol.answer(None)
    assert protocol.outgoing() == b""
    protocol, _ = computing(2, shm=True)
    protocol.answer(None)
    assert protocol.outgoing() == FORCEREADY + integer(0) * 2


def test_answer_only_when_owed():
    protocol, _ = computing()
    protocol.answer(GIVEN_0)
    with pytest.raises(ProtocolError, match="state COMPUTING to send FORCEREADY, got state READY"):
        protocol.answer(GIVEN_0)
    assert protocol.outgoing() == READY_0
    protocol.receive(single(0))
    with pytest.raises(ProtocolError, match="got state POSITIONS"):
        protocol.answer(GIVEN_0)
    protocol.receive(GETFORCE + EXIT)
    with pytest.raises(ProtocolError, match="got state CLOSED"):
        protocol.answer(GIVEN_0)


def test_numbers_may_have_any_layout():
    protocol, _ = computing(3)
    energies, forces, virials = GIVEN_B.energies, GIVEN_B.forces, GIVEN_B.virials
    transposed = np.asfortranarray(forces)
    protocol.answer(Answer(list(energies), transposed, np.asfortranarray(virials)))
    assert protocol.outgoing() == FORCEREADY + WIRE_B + integer(0) * 3


@pytest.mark.parametrize(
    "which, expected",
    [
        ((0,), 1),
        ((0, 1, 2, 3), 4),
        ((0, 1, 1, 1), 2),
        ((2, 2, 2, 2), 1),
        ((0, 0, 1, 2), 4),
        ((1, 0, 1, 1), 3),
    ],
)
def test_unpadded(which, expected):
    assert unpadded(H[list(which)], POSITIONS[list(which)]) == expected


def unpadded(cells, positions):
    """How many structures are left without padding, which are the first."""
    kept = Request(positions.shape[1], cells, positions).without_padding()
    assert kept.cells.tobytes() == cells[: len(kept.cells)].tobytes()
    assert kept.positions.tobytes() == positions[: len(kept.positions)].tobytes()
    assert len(kept.cells) == len(kept.positions)
    return len(kept.positions)


def test_unpadded_compares_cells_positions_and_bits():
    cells, positions = np.zeros((2, 3, 3)), np.zeros((2, 1, 3))
    assert unpadded(cells, positions) == 1
    assert unpadded(np.stack([cells[0], cells[0] + 1e-300]), positions) == 2
    assert unpadded(cells, np.stack([positions[0], -positions[0]])) == 2
    assert unpadded(cells, np.full_like(positions, np.nan)) == 1
