"""One socket to one i-PI force field: connect, read, write, and the memory shared with i-PI."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Mapping
from multiprocessing import resource_tracker, shared_memory

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, ProtocolError
from ...ipi.transport import Address
from .protocol import Event, Protocol, Request, Segments, State

__all__ = ["Closed", "Connection"]

RECEIVE = 1 << 18


class Closed(Exception):
    """The connection has ended without EXIT; the message says where."""


class Connection:
    """A client of one ``<ffsocket>``, from connecting to closing; a new one is made to come back.

    One thread reads, another answers; a lock keeps the protocol whole. i-PI sends nothing
    while it waits for an answer, so neither waits for the other.
    """

    def __init__(self, address: Address, slot: str) -> None:
        self.address = address
        self.slot = slot
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._memory: SharedBatch | None = None

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

    def receive(self) -> list[Event]:
        """Read what has arrived, answer STATUS at once, and return the other events.

        Raises:
            Closed: if the connection has ended, be it in the middle of a message.
            ProtocolError: if i-PI sent what it must not.
        """
        try:
            data = self._socket.recv(RECEIVE)
        except OSError:
            data = b""
        with self._lock:
            if not data:
                self._end()
            events = self.protocol.receive(data)
            self._flush()
        return [self._with_numbers(event) for event in events if not self._attach(event)]

    def answer(
        self,
        energies: NDArray[np.float64],
        forces: NDArray[np.float64],
        virials: NDArray[np.float64],
    ) -> None:
        """Send the complete answer: energies (B,), forces (B, N, 3), virials (B, 3, 3).

        Does nothing if i-PI has dropped the connection in the meantime: it asks again.
        """
        with self._lock:
            if self._socket is None or self.protocol.state is not State.COMPUTING:
                return
            if self._memory is not None:
                self._memory.write(energies, forces, virials)
            self.protocol.answer(energies, forces, virials)
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

    def _attach(self, event: Event) -> bool:
        if not isinstance(event, Segments):
            return False
        self._memory = SharedBatch(event.names, self.protocol.batch_size)
        return True

    def _with_numbers(self, event: Event) -> Event:
        if isinstance(event, Request) and self._memory is not None:
            cells, positions = self._memory.read(event.n_atoms)
            return Request(event.n_atoms, cells, positions)
        return event


def _close(sock: socket.socket) -> None:
    """Close with nothing left unread: a reset would end i-PI's polling thread, and hang its run."""
    sock.settimeout(0.0)
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
        while sock.recv(RECEIVE):
            pass
    sock.close()


class SharedBatch:
    """i-PI's shared-memory segments: positions and cells in, energies, forces and virials out."""

    def __init__(self, names: Mapping[str, str], batch_size: int) -> None:
        self._segments = {kind: _attach_segment(name) for kind, name in names.items()}
        self._batch_size = batch_size

    def read(self, n_atoms: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Cells (B, 3, 3) and positions (B, N, 3) in bohr, copied."""
        batch = self._batch_size
        return self._view("h", (batch, 3, 3)).copy(), self._view("pos", (batch, n_atoms, 3)).copy()

    def write(
        self,
        energies: NDArray[np.float64],
        forces: NDArray[np.float64],
        virials: NDArray[np.float64],
    ) -> None:
        """Put an answer where i-PI reads it."""
        for kind, values in (("pot", energies), ("force", forces), ("vir", virials)):
            self._view(kind, values.shape)[...] = values

    def close(self) -> None:
        """Detach; the segments belong to i-PI."""
        for segment in self._segments.values():
            segment.close()

    def _view(self, kind: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        return np.ndarray(shape, dtype=np.float64, buffer=self._segments[kind].buf)


def _attach_segment(name: str) -> shared_memory.SharedMemory:
    if sys.version_info >= (3, 13):
        return shared_memory.SharedMemory(name=name, track=False)
    segment = shared_memory.SharedMemory(name=name)
    # i-PI owns the segment: without this the tracker would remove it when the driver ends
    resource_tracker.unregister(f"/{name.lstrip('/')}", "shared_memory")
    return segment
