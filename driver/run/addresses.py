"""The addresses of a run's force fields: free before it, and free again after it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..ipi.sockets import Socket

__all__ = ["claim", "release"]

log = logging.getLogger(__name__)


def claim(sockets: Sequence[Socket]) -> None:
    """Check that i-PI can listen at all addresses; remove socket files that nobody listens to.

    Raises:
        InputError: if an address is in use.
    """
    for socket in sockets:
        address = socket.address
        if address.transport.is_in_use(address):
            raise InputError(
                f"expected a free address for <ffsocket name='{socket.name}'>, got {address}, "
                f"which is in use; wait for the other run or change <address>"
            )
    for file in release(sockets):
        log.warning("removed %s, which an earlier i-PI left", file)


def release(sockets: Sequence[Socket]) -> list[Path]:
    """Remove socket files that nobody listens to, and name them."""
    removed = []
    for socket in sockets:
        address = socket.address
        file = address.transport.socket_file(address)
        if file is not None and file.is_socket() and not address.transport.is_in_use(address):
            file.unlink(missing_ok=True)
            removed.append(file)
    return removed
