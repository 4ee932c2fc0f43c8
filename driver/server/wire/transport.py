"""How each mode of ``<ffsocket>`` connects, and whether its numbers travel through shared memory.

A mode is one class and one row of ``TRANSPORTS``.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping

from ...ipi.input import Address

__all__ = ["TRANSPORTS", "InetTransport", "SharedMemoryTransport", "Transport", "UnixTransport"]

INET_CONNECT_TIMEOUT_S = 5.0


class Transport(ABC):
    """One mode of ``<ffsocket>``.

    Attributes:
        shares_memory: whether the socket carries the handshake only.
    """

    shares_memory = False

    @abstractmethod
    def connect(self, address: Address) -> socket.socket:
        """Connect, once.

        Raises:
            OSError: if that fails; FileNotFoundError, ConnectionRefusedError, BlockingIOError or
                TimeoutError where nobody listens yet.
        """


class UnixTransport(Transport):
    """``mode='unix'``: a socket file."""

    def connect(self, address: Address) -> socket.socket:
        """Without waiting: i-PI accepts only while it has requests, a full backlog would block."""
        return _connected(socket.AF_UNIX, address.path, timeout_s=0.0)


class SharedMemoryTransport(UnixTransport):
    """``mode='shm'``: a socket file for the handshake, shared memory for the numbers."""

    shares_memory = True


class InetTransport(Transport):
    """``mode='inet'``: a host and a port."""

    def connect(self, address: Address) -> socket.socket:
        """With small messages sent at once."""
        target = address.host, address.port
        sock = _connected(socket.AF_INET, target, timeout_s=INET_CONNECT_TIMEOUT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock


TRANSPORTS: Mapping[str, Transport] = {
    "unix": UnixTransport(),
    "shm": SharedMemoryTransport(),
    "inet": InetTransport(),
}
"""The modes by their names in i-PI's input."""


def _connected(
    family: socket.AddressFamily, target: str | tuple[str, int], timeout_s: float
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect(target)
    except OSError:
        sock.close()
        raise
    return sock
