"""The socket protocol of i-PI 3.3, without a socket: bytes in, events out, replies as bytes.

The messages are those of ``ipi/interfaces/sockets.py``: a header of twelve bytes, then fields in
native byte order. i-PI's units (bohr, hartree) pass through unchanged.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping, Sequence
from enum import Enum, auto
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...errors import ProtocolError
from .answer import Answer, encode_answer
from .messages import (
    HEADER_SIZE,
    SEGMENT_KINDS,
    Event,
    Exit,
    Init,
    Request,
    Segments,
    SharedRequest,
    header,
)

__all__ = [
    "Event",
    "Exit",
    "Init",
    "Protocol",
    "Request",
    "Segments",
    "SharedRequest",
    "State",
]

MAX_ATOMS = 10**8
MAX_BATCH = 2**16
MAX_TEXT = 2**20

_REMEDY = "check that i-PI 3.3 is at the other end and that both use the same <ffsocket> mode"


class State(Enum):
    """Where the conversation stands."""

    NEEDINIT = auto()
    READY = auto()
    POSITIONS = auto()
    """POSDATA was read, GETFORCE was not."""
    COMPUTING = auto()
    """GETFORCE was read, an answer is owed."""
    CLOSED = auto()

    __hash__ = object.__hash__  # Enum's own is slow


# What i-PI may send in each state and where it leads; besides, an answer leads from COMPUTING
# to READY. i-PI never asks for the status of a driver that owes an answer.
_TRANSITIONS: Mapping[State, Mapping[str, State]] = {
    State.NEEDINIT: {"STATUS": State.NEEDINIT, "INIT": State.READY, "EXIT": State.CLOSED},
    State.READY: {"STATUS": State.READY, "POSDATA": State.POSITIONS, "EXIT": State.CLOSED},
    State.POSITIONS: {
        "STATUS": State.POSITIONS,
        "GETFORCE": State.COMPUTING,
        "EXIT": State.CLOSED,
    },
    State.COMPUTING: {"EXIT": State.CLOSED},
    State.CLOSED: {},
}

# HAVEDATA although nothing is computed: i-PI sends GETFORCE only then, and a driver that dies
# with GETFORCE unread in its socket makes i-PI hang.
_STATUS = {
    State.NEEDINIT: header("NEEDINIT"),
    State.READY: header("READY"),
    State.POSITIONS: header("HAVEDATA"),
}

_Fields = Generator[tuple[int, str], bytes, None]


class Protocol:
    """One conversation with i-PI, seen from the driver.

    Args:
        shared: whether the numbers travel through shared memory (``mode='shm'``).

    Attributes:
        state: what may come next.
        batch_size: B, structures in each request, as announced by INIT.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.state = State.NEEDINIT
        self.batch_size = 1
        self._shared = shared
        self._segments_known = False
        self._request: Request | SharedRequest | None = None
        self._buffer = bytearray()
        self._events: list[Event] = []
        self._outgoing: list[bytes] = []
        self._header = ""
        self._fields = self._conversation()
        self._size, self._field = next(self._fields)

    def receive(self, data: bytes) -> list[Event]:
        """Take the next piece of the stream, cut anywhere.

        Returns:
            The events it completes. A request is complete when its GETFORCE is.

        Raises:
            ProtocolError: if the stream cannot be i-PI's. The conversation is over then, and
                events completed in the same call are lost.
        """
        self._buffer += data
        try:
            begin = 0
            with memoryview(self._buffer) as view:
                while self.state is not State.CLOSED and len(view) - begin >= self._size:
                    field = bytes(view[begin : begin + self._size])
                    begin += self._size
                    self._size, self._field = self._fields.send(field)
            if begin:
                del self._buffer[:begin]
            if self.state is State.CLOSED and self._buffer:
                raise ProtocolError("expected no header in state CLOSED, got bytes; reconnect")
        except ProtocolError:
            self._close()
            raise
        events, self._events = self._events, []
        return events

    def end_of_stream(self) -> None:
        """Close the conversation because i-PI closed its end.

        Raises:
            ProtocolError: if that cuts a message.
        """
        where, field, partial = self._where(), self._field, len(self._buffer)
        cut = self.state is not State.CLOSED and (partial or field != "header")
        size = self._size
        self._close()
        if cut:
            raise ProtocolError(
                f"expected {size} bytes of {field} {where}, got the end of the stream "
                f"after {partial}; see i-PI's log for why it stopped"
            )

    def outgoing(self) -> bytes:
        """Return the bytes owed to i-PI and forget them."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def answer(self, answer: Answer | None, extras: Sequence[str] | None = None) -> None:
        """Queue the complete reply to the request.

        With shared memory the numbers are not part of the bytes: they are checked if given, and
        whoever owns the memory writes them there before sending.

        Args:
            answer: for all B structures, in hartree and bohr; ``None`` only with shared memory.
            extras: B strings, plain text or JSON objects; empty if ``None``.

        Raises:
            ProtocolError: if no answer is owed or this one would stop i-PI. Nothing is queued.
        """
        if self.state is not State.COMPUTING or self._request is None:
            raise ProtocolError(
                f"expected state COMPUTING to send FORCEREADY, got state {self.state.name}; "
                f"answer each request once"
            )
        shape = self.batch_size, self._request.n_atoms
        reply = encode_answer(shape, answer, extras, shared=self._shared)
        self._outgoing.append(reply)
        self._request = None
        self.state = State.READY

    def _conversation(self) -> _Fields:
        """Ask for one field after the other, as (bytes, name), and act on what they say."""
        bodies = {"INIT": self._read_init, "POSDATA": self._read_posdata}
        while True:
            received = yield HEADER_SIZE, "header"
            followers = _TRANSITIONS[self.state]
            name = received.rstrip(b" ").decode("ascii", "replace")
            if name not in followers:
                raise ProtocolError(
                    f"expected {' or '.join(followers)} in state {self.state.name}, "
                    f"got {received!r}; {_REMEDY}"
                )
            self._header = name
            if name in bodies:
                yield from bodies[name]()
            elif name == "STATUS":
                self._outgoing.append(_STATUS[self.state])
            elif name == "GETFORCE" and self._request is not None:
                self._events.append(self._request)
            elif name == "EXIT":
                self._events.append(Exit())
            self._header = ""
            self.state = followers[name]

    def _read_init(self) -> _Fields:
        bead = int.from_bytes((yield 4, "bead"), sys.byteorder, signed=True)
        parameters = yield from self._read_text("parameters")
        # i-PI appends `batch_size:8` after a comma; a user's own item reads `batch_size : 8 , `.
        head, item, batch = parameters.rpartition("batch_size:")
        head = head.rstrip()
        if item and batch.isdecimal() and (not head or head.endswith(",")):
            self.batch_size = int(batch[:9])
            self._check("batch_size", self.batch_size, 1, MAX_BATCH)
            parameters = head.removesuffix(",")
        self._events.append(Init(bead, parameters, self.batch_size))

    def _read_posdata(self) -> _Fields:
        if self._shared:
            yield from self._read_shared_posdata()
            return
        batch = self.batch_size
        if batch == 1:
            cells = yield from self._read_numbers("cell", (1, 2, 3, 3))
            n_atoms = yield from self._read_n_atoms()
        else:
            n_atoms = yield from self._read_n_atoms()
            cells = yield from self._read_numbers("cells", (batch, 2, 3, 3))
        positions = yield from self._read_numbers("positions", (batch, n_atoms, 3))
        self._request = Request(n_atoms, cells[:, 0], positions)  # the other half is the inverse

    def _read_shared_posdata(self) -> _Fields:
        n_atoms = yield from self._read_n_atoms()
        if not self._segments_known:
            names = {}
            for kind in SEGMENT_KINDS:
                names[kind] = yield from self._read_text(f"segment name '{kind}'")
            self._segments_known = True
            self._events.append(Segments(names))
        self._request = SharedRequest(n_atoms)

    def _read_n_atoms(self) -> Generator[tuple[int, str], bytes, int]:
        return self._read_count("number of atoms", 1, MAX_ATOMS)

    def _read_numbers(
        self, field: str, shape: tuple[int, ...]
    ) -> Generator[tuple[int, str], bytes, NDArray[np.float64]]:
        data = yield 8 * prod(shape), field
        return np.frombuffer(data, np.float64).reshape(shape)

    def _read_count(
        self, field: str, low: int, high: int
    ) -> Generator[tuple[int, str], bytes, int]:
        count = int.from_bytes((yield 4, field), sys.byteorder, signed=True)
        self._check(field, count, low, high)
        return count

    def _read_text(self, field: str) -> Generator[tuple[int, str], bytes, str]:
        size = yield from self._read_count(f"length of {field}", 0, MAX_TEXT)
        data = yield size, field
        try:
            return data.decode("ascii")
        except UnicodeDecodeError:
            # i-PI announces characters but sends UTF-8 bytes: what follows would be misread.
            raise ProtocolError(
                f"expected ASCII {field} {self._where()}, got {data[:80]!r}; "
                f"rename what has other characters in <parameters>"
            ) from None

    def _check(self, field: str, count: int, low: int, high: int) -> None:
        if not low <= count <= high:
            raise ProtocolError(
                f"expected {field} from {low} to {high} {self._where()}, got {count}; {_REMEDY}"
            )

    def _where(self) -> str:
        after = f"after {self._header} " if self._header else ""
        return f"{after}in state {self.state.name}"

    def _close(self) -> None:
        self.state = State.CLOSED
        self._buffer.clear()
        self._events.clear()
        self._request = None
