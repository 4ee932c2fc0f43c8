"""The ways in which i-PI and a driver reach each other: the modes of an ``<ffsocket>``.

All that is particular to a mode stands here: how it is named on the command line, how to connect,
whether an address is in use, and what is left of it on disk. A new one is a subclass of
:class:`Transport` in ``TRANSPORTS``.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ..errors import InputError

__all__ = ["DEFAULT_PREFIX", "TRANSPORTS", "Address", "Transport"]

DEFAULT_PREFIX = "/tmp/ipi_"
PROBE_S = 1.0  # that a listener may take to accept
CONNECT_S = 5.0  # that a connection over a network may take


@dataclass(frozen=True)
class Address:
    """Where one i-PI force field listens.

    Attributes:
        mode: a name in ``TRANSPORTS``.
        host: name of a socket file, or host.
        port: of the host, where there is one.
        prefix: i-PI's ``sockets_prefix``, for socket files.
    """

    mode: str
    host: str
    port: int = 0
    prefix: str = DEFAULT_PREFIX

    @property
    def transport(self) -> Transport:
        """What to reach it by."""
        return TRANSPORTS[self.mode]

    @property
    def path(self) -> str:
        """Its socket file, where there is one."""
        return self.prefix + self.host

    def __str__(self) -> str:
        return f"{self.mode} {self.transport.place(self)}"


class Transport(ABC):
    """One mode of ``<ffsocket>``.

    Attributes:
        mode: what i-PI calls it; also the option of ``halfkick serve``.
        placeholder: of what that option takes.
        option_help: of that option.
        shares_memory: whether positions and forces go through shared memory.
    """

    mode: ClassVar[str]
    placeholder: ClassVar[str] = "NAME"
    option_help: ClassVar[str]
    shares_memory: ClassVar[bool] = False

    @abstractmethod
    def address(self, host: str, port: int, prefix: str) -> Address:
        """The address of an ``<ffsocket>``, by what its elements say."""

    @abstractmethod
    def parse(self, text: str) -> Address:
        """Read an address from the command line.

        Raises:
            InputError: if it is none.
        """

    @abstractmethod
    def place(self, address: Address) -> str:
        """Where it is, in words."""

    @abstractmethod
    def connect(self, address: Address) -> socket.socket:
        """Connect, once.

        Raises:
            OSError: if that fails; FileNotFoundError, ConnectionRefusedError, BlockingIOError or
                TimeoutError where nobody listens yet.
        """

    @abstractmethod
    def is_in_use(self, address: Address) -> bool:
        """Whether somebody else listens there, so that i-PI cannot."""

    def socket_file(self, address: Address) -> Path | None:
        """What a listener that was killed leaves on disk."""
        return None


class UnixTransport(Transport):
    """A socket file."""

    mode = "unix"
    option_help = "Name of a unix socket."

    def address(self, host: str, port: int, prefix: str) -> Address:
        """By name and prefix."""
        return Address(self.mode, host, 0, prefix)

    def parse(self, text: str) -> Address:
        """Any name will do."""
        return Address(self.mode, text)

    def place(self, address: Address) -> str:
        """The file."""
        return address.path

    def connect(self, address: Address) -> socket.socket:
        """Without waiting: i-PI accepts only while it has requests, a full backlog would block."""
        return _connected(socket.AF_UNIX, address.path, 0.0)

    def is_in_use(self, address: Address) -> bool:
        """Whether a listener answers, or something else lies in the way."""
        path = Path(address.path)
        if not path.is_socket():
            return path.exists()
        try:
            _connected(socket.AF_UNIX, address.path, PROBE_S).close()
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # somebody listens, but is busy or not ours
            return True
        return True

    def socket_file(self, address: Address) -> Path | None:
        """The file."""
        return Path(address.path)


class SharedMemoryTransport(UnixTransport):
    """A socket file for the messages, shared memory for the numbers."""

    mode = "shm"
    option_help = "Name of a shared-memory socket."
    shares_memory = True


class InetTransport(Transport):
    """A port of a host."""

    mode = "inet"
    placeholder = "HOST:PORT"
    option_help = "HOST:PORT."

    def address(self, host: str, port: int, prefix: str) -> Address:
        """By host and port."""
        return Address(self.mode, host, port)

    def parse(self, text: str) -> Address:
        """Read ``HOST:PORT``; without a host it is this one."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdigit():
            raise InputError(f"expected --{self.mode} {self.placeholder}, got '{text}'")
        return Address(self.mode, host or "localhost", int(port))

    def place(self, address: Address) -> str:
        """Host and port."""
        return f"{address.host}:{address.port}"

    def connect(self, address: Address) -> socket.socket:
        """With small messages sent at once."""
        sock = _connected(socket.AF_INET, (address.host, address.port), CONNECT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def is_in_use(self, address: Address) -> bool:
        """Whether one cannot listen there."""
        with socket.socket(socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address.host, address.port))
            except OSError:
                return True
        return False


TRANSPORTS: dict[str, Transport] = {
    transport.mode: transport
    for transport in (UnixTransport(), SharedMemoryTransport(), InetTransport())
}


def _connected(family: socket.AddressFamily, target: Any, timeout_s: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect(target)
    except OSError:
        sock.close()
        raise
    return sock
