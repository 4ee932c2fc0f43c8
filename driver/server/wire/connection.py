"""One socket to one i-PI force field: connect, read, write; what pads a batch ends here."""

from __future__ import annotations

import contextlib
import socket
import threading

from ...errors import InputError, ProtocolError
from ...ipi.transport import Address
from .answer import Answer
from .protocol import Event, Exit, Init, Protocol, Request, Segments, SharedRequest, State
from .shared_memory import SharedBatch

__all__ = ["Closed", "Connection"]

RECEIVE_BYTES = 1 << 18


class Closed(Exception):
    """The connection has ended without EXIT; the message says where."""


class Connection:
    """A client of one ``<ffsocket>``, from connecting to closing; a new one is made to come back.

    One thread reads, another answers; a lock keeps the protocol whole. i-PI sends nothing
    while it waits for an answer, so neither waits for the other.

    Args:
        address: where i-PI listens.
        slot: names the connection; its structures follow each other in time.
    """

    def __init__(self, address: Address, slot: str) -> None:
        self.address = address
        self.slot = slot
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._memory: SharedBatch | None = None
        self._padding = 0  # structures that only fill up the last request's batch

    def connect(self) -> bool:
        """Try once; False if nobody listens yet.

        Raises:
            InputError: if the address can never work.
        """
        transport = self.address.transport
        try:
            sock = transport.connect(self.address)
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError, TimeoutError):
            return False
        except OSError as error:
            raise InputError(f"expected i-PI at {self.address}, cannot connect: {error}") from error
        sock.settimeout(None)
        self._socket = sock
        self.protocol = Protocol(shared=transport.shares_memory)
        return True

    def fileno(self) -> int:
        """For selectors."""
        return -1 if self._socket is None else self._socket.fileno()

    def receive(self) -> list[Init | Request | Exit]:
        """Read what has arrived, answer STATUS at once, and return the other events.

        Requests come without padding.

        Raises:
            Closed: if the connection has ended, be it in the middle of a message.
            ProtocolError: if i-PI sent what it must not.
        """
        try:
            data = b"" if self._socket is None else self._socket.recv(RECEIVE_BYTES)
        except OSError:
            data = b""
        with self._lock:
            if not data:
                self._end()
            events = self.protocol.receive(data)
            self._flush()
        return [event for event in map(self._complete, events) if event is not None]

    def answer(self, answer: Answer) -> None:
        """Send the complete answer to the last request, padded as i-PI expects it.

        Does nothing if i-PI has dropped the connection in the meantime: it asks again.

        Raises:
            ProtocolError: if the answer would stop i-PI. Nothing is sent.
        """
        with self._lock:
            if self._socket is None or self.protocol.state is not State.COMPUTING:
                return
            if self._padding:
                answer = answer.padded(self._padding)
            self.protocol.answer(answer, answer.extras)
            if self._memory is not None:
                self._memory.write(answer)
            self._flush()

    def close(self) -> None:
        """Close the socket and let go of shared memory."""
        with self._lock:
            if self._socket is not None:
                _close(self._socket)
                self._socket = None
            if self._memory is not None:
                self._memory.close()
                self._memory = None

    def _end(self) -> None:
        try:
            self.protocol.end_of_stream()
        except ProtocolError as error:  # cut on its way: i-PI asks again, as after any other end
            raise Closed(str(error)) from error
        raise Closed("closed without EXIT")

    def _flush(self) -> None:
        data = self.protocol.outgoing()
        if data and self._socket is not None:
            # if i-PI is gone the reader finds the closed socket
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._socket.sendall(data)

    def _complete(self, event: Event) -> Init | Request | Exit | None:
        """The event with its numbers and without padding; None if it concerns shared memory."""
        if isinstance(event, Segments):
            self._memory = SharedBatch(event.names, self.protocol.batch_size)
            return None
        if isinstance(event, SharedRequest):
            assert self._memory is not None  # the protocol names it before the first request
            event = self._memory.read(event.n_atoms)
        if isinstance(event, Request):
            request = event.without_padding()
            self._padding = len(event.positions) - len(request.positions)
            return request
        return event


def _close(sock: socket.socket) -> None:
    """Close with nothing left unread: a reset would end i-PI's polling thread, and hang its run."""
    sock.settimeout(0.0)
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
        while sock.recv(RECEIVE_BYTES):
            pass
    sock.close()
