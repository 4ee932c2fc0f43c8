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
    def connect(self, address: Address) -> socket.socket | None:
        """A blocking socket, connected at the first try; ``None`` if nobody listens yet.

        Raises:
            OSError: if the address can never work.
        """


class UnixTransport(Transport):
    """``mode='unix'``: a socket file."""

    def connect(self, address: Address) -> socket.socket | None:
        """Connect to the socket file."""
        # i-PI accepts only while it has requests: a full backlog must not block us
        return _try_once(socket.AF_UNIX, address.path, timeout_s=0.0)


class SharedMemoryTransport(UnixTransport):
    """``mode='shm'``: a socket file for the handshake, shared memory for the numbers."""

    shares_memory = True


class InetTransport(Transport):
    """``mode='inet'``: a host and a port."""

    def connect(self, address: Address) -> socket.socket | None:
        """Connect to the port; short messages are sent at once."""
        target = address.host, address.port
        sock = _try_once(socket.AF_INET, target, timeout_s=INET_CONNECT_TIMEOUT_S)
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock


TRANSPORTS: Mapping[str, Transport] = {
    "unix": UnixTransport(),
    "shm": SharedMemoryTransport(),
    "inet": InetTransport(),
}
"""The modes by their names in i-PI's input."""


def _try_once(
    family: socket.AddressFamily, target: str | tuple[str, int], timeout_s: float
) -> socket.socket | None:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect(target)
    except (FileNotFoundError, ConnectionRefusedError, BlockingIOError, TimeoutError):
        sock.close()
        return None
    except OSError:
        sock.close()
        raise
    sock.settimeout(None)
    return sock
