"""i-PI 3.3.1's messages, written out by hand, and conversations made of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from halfkick.driver.server.wire.answer import Answer
from halfkick.driver.server.wire.protocol import (
    Event,
    Exit,
    Init,
    Protocol,
    Request,
    Segments,
    SharedRequest,
    State,
)

STATUS = b"STATUS      "
NEEDINIT = b"NEEDINIT    "
READY = b"READY       "
HAVEDATA = b"HAVEDATA    "
POSDATA = b"POSDATA     "
GETFORCE = b"GETFORCE    "
FORCEREADY = b"FORCEREADY  "
EXIT = b"EXIT        "

RNG = np.random.default_rng(5)
H, IH, VIRIALS = RNG.normal(size=(3, 4, 3, 3))
POSITIONS, FORCES = RNG.normal(size=(2, 4, 2, 3))
ENERGIES = RNG.normal(size=4)
NAMES = {kind: f"ipi_shm_77_9_{kind}" for kind in ("pos", "h", "ih", "pot", "force", "vir")}
WATER = " model : water , role : direct , "


def integer(value):
    return struct.pack("=i", value)


def doubles(array):
    values = [float(value) for value in np.ravel(array)]
    return struct.pack(f"={len(values)}d", *values)


def text(value):
    data = value.encode()
    return integer(len(data)) + data


def init(parameters, bead=0):
    return b"INIT        " + integer(bead) + text(parameters)


def single(i, n_atoms=2):
    positions = POSITIONS[i, :n_atoms]
    return POSDATA + doubles(H[i]) + doubles(IH[i]) + integer(n_atoms) + doubles(positions)


def batch(*which):
    cells = b"".join(doubles(H[i]) + doubles(IH[i]) for i in which)
    return POSDATA + integer(2) + cells + b"".join(doubles(POSITIONS[i]) for i in which)


def shared(names=None):
    return POSDATA + integer(2) + b"".join(text(name) for name in (names or {}).values())


def request(*which, n_atoms=2):
    return Request(n_atoms, H[list(which)], POSITIONS[list(which), :n_atoms])


def numbers(*which):
    """Energies, forces and virials as a driver gives them, and as they are on the wire."""
    chosen = list(which)
    energies, forces, virials = ENERGIES[chosen], FORCES[chosen], VIRIALS[chosen]
    wire = doubles(energies) + integer(2) + doubles(forces) + doubles(virials)
    return Answer(energies, forces, virials), wire


def computing(n_structures=1, *, shm=False):
    """A protocol that owes an answer, and the request."""
    protocol = Protocol(shared=shm)
    if n_structures == 1:
        stream = init(WATER) + (shared(NAMES) if shm else single(0))
    else:
        which = [i % 4 for i in range(n_structures)]
        stream = init(f"  batch_size:{n_structures}")
        stream += shared(NAMES) if shm else batch(*which)
    return protocol, protocol.receive(stream + GETFORCE)[-1]


def plain(event):
    """An event in a form that ``==`` compares."""
    if not isinstance(event, Request):
        return event
    return event.n_atoms, *((a.shape, a.tobytes()) for a in (event.cells, event.positions))


@dataclass
class Turn:
    """What i-PI sends before it needs an answer, and what has to come of it."""

    sent: bytes
    events: list[Event]
    replies: bytes = b""
    answer: tuple[Answer | None, list[str] | None] | None = None
    answered: bytes = b""


@dataclass
class Case:
    """A conversation, turn by turn, and the state it ends in."""

    name: str
    turns: list[Turn]
    end: State
    shared: bool = False


START = STATUS + init(WATER) + STATUS
STARTED = [Init(0, WATER, 1)]
GIVEN_0, WIRE_0 = numbers(0)
GIVEN_1, WIRE_1 = numbers(1)
GIVEN_B, WIRE_B = numbers(0, 1, 1)
READY_0 = FORCEREADY + WIRE_0 + integer(0)

CASES = [
    Case("exit at once", [Turn(EXIT, [Exit()])], State.CLOSED),
    Case("status", [Turn(STATUS * 3, [], NEEDINIT * 3)], State.NEEDINIT),
    Case("start", [Turn(START, STARTED, NEEDINIT + READY)], State.READY),
    Case("init, no parameters", [Turn(init(" "), [Init(0, " ", 1)])], State.READY),
    Case("init, nothing", [Turn(init(""), [Init(0, "", 1)])], State.READY),
    Case("init, no bead", [Turn(init(WATER, -1), [Init(-1, WATER, 1)])], State.READY),
    Case(
        "init, batch",
        [Turn(init(WATER + ", batch_size:8", 5), [Init(5, WATER, 8)])],
        State.READY,
    ),
    Case("init, only batch", [Turn(init("  batch_size:3"), [Init(0, "", 3)])], State.READY),
    Case(
        "init, batch_size of the user",
        [Turn(init(" batch_size : 4 , "), [Init(0, " batch_size : 4 , ", 1)])],
        State.READY,
    ),
    Case(
        "init, both",
        [Turn(init(" batch_size : 4 , , batch_size:2"), [Init(0, " batch_size : 4 , ", 2)])],
        State.READY,
    ),
    Case(
        "init, a look-alike",
        [Turn(init(" my_batch_size:4"), [Init(0, " my_batch_size:4", 1)])],
        State.READY,
    ),
    Case("positions wait", [Turn(START + single(0), STARTED, NEEDINIT + READY)], State.POSITIONS),
    Case(
        "classic",
        [
            Turn(
                START + single(0) + STATUS + GETFORCE,
                [*STARTED, request(0)],
                NEEDINIT + READY + HAVEDATA,
                (GIVEN_0, None),
                READY_0,
            ),
            Turn(STATUS + EXIT, [Exit()], READY),
        ],
        State.CLOSED,
    ),
    Case(
        "consolidated, two requests",
        [
            Turn(
                START + single(0) + GETFORCE,
                [*STARTED, request(0)],
                NEEDINIT + READY,
                (GIVEN_0, None),
                READY_0,
            ),
            Turn(
                STATUS + single(1) + GETFORCE,
                [request(1)],
                READY,
                (GIVEN_1, ['{"dipole": [1, 2, 3]}']),
                FORCEREADY + WIRE_1 + text('{"dipole": [1, 2, 3]}'),
            ),
            Turn(STATUS, [], READY),
        ],
        State.READY,
    ),
    Case(
        "one atom, then two",
        [
            Turn(
                init(WATER) + single(0, 1) + GETFORCE,
                [*STARTED, request(0, n_atoms=1)],
                answer=(Answer([1.5], [[[1, 2, 3]]], np.eye(3)[None]), None),
                answered=FORCEREADY
                + doubles([1.5])
                + integer(1)
                + doubles([1, 2, 3])
                + doubles(np.eye(3))
                + integer(0),
            ),
            Turn(single(0) + GETFORCE, [request(0)], b"", (GIVEN_0, None), READY_0),
        ],
        State.READY,
    ),
    Case(
        "batch, padded",
        [
            Turn(
                STATUS + init(WATER + ", batch_size:3") + STATUS + batch(0, 1, 1) + GETFORCE,
                [Init(0, WATER, 3), request(0, 1, 1)],
                NEEDINIT + READY,
                (GIVEN_B, ["", "é", '{"a": 1}']),
                FORCEREADY + WIRE_B + integer(0) + text("é") + text('{"a": 1}'),
            ),
            Turn(STATUS + batch(2, 1, 0) + GETFORCE, [request(2, 1, 0)], READY),
        ],
        State.COMPUTING,
    ),
    Case(
        "shared memory",
        [
            Turn(
                START + shared(NAMES) + STATUS + GETFORCE,
                [*STARTED, Segments(NAMES), SharedRequest(2)],
                NEEDINIT + READY + HAVEDATA,
                (None, None),
                FORCEREADY + integer(0),
            ),
            Turn(
                STATUS + shared() + GETFORCE,
                [SharedRequest(2)],
                READY,
                (GIVEN_1, ["plain"]),
                FORCEREADY + text("plain"),
            ),
        ],
        State.READY,
        shared=True,
    ),
    Case(
        "shared memory, batch",
        [
            Turn(
                START[:12] + init("  batch_size:3") + shared(NAMES) + GETFORCE,
                [Init(0, "", 3), Segments(NAMES), SharedRequest(2)],
                NEEDINIT,
                (None, ["a", "", "c"]),
                FORCEREADY + text("a") + text("") + text("c"),
            ),
            Turn(shared() + GETFORCE + EXIT, [SharedRequest(2), Exit()]),
        ],
        State.CLOSED,
        shared=True,
    ),
]
