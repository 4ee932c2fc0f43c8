"""The addresses of a run's force fields: free before it, and free again after it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..ipi.input import Address, Endpoint

__all__ = ["claim", "release"]

log = logging.getLogger(__name__)

PATIENCE = 1.0  # s that a listener may take to accept


def claim(endpoints: Sequence[Endpoint]) -> None:
    """Check that i-PI can listen at all addresses; remove socket files that nobody listens to.

    Raises:
        InputError: if an address is in use.
    """
    for endpoint in endpoints:
        address = endpoint.address
        if _in_use(address):
            raise InputError(
                f"expected a free address for <ffsocket name='{endpoint.name}'>, got {address}, "
                f"which is in use; wait for the other run or change <address>"
            )
    release(endpoints)


def release(endpoints: Sequence[Endpoint]) -> None:
    """Remove socket files that a killed i-PI left."""
    for endpoint in endpoints:
        address = endpoint.address
        if address.mode != "inet" and Path(address.path).is_socket() and not _in_use(address):
            Path(address.path).unlink(missing_ok=True)
            log.warning("removed %s, left by an i-PI that was killed", address.path)


def _in_use(address: Address) -> bool:
    if address.mode == "inet":
        return not _can_listen(address)
    path = Path(address.path)
    if not path.is_socket():
        return path.exists()
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PATIENCE)
        try:
            probe.connect(address.path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # somebody listens, but is busy or not ours
            return True
    return True


def _can_listen(address: Address) -> bool:
    with socket.socket(socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError:
            return False
    return True
