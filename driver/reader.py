"""The thread that connects, reads and answers STATUS, whatever the model is doing."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue

from halfkick.driver.config import ConfigError
from halfkick.driver.connection import Closed, Connection
from halfkick.driver.protocol import Event, Exit

__all__ = ["Reader"]

log = logging.getLogger("halfkick")

RETRY_S = 0.05
NOTICE_S = 5.0
LINGER_S = 0.1
COME_BACK_S = 2.0
TOUCH_S = 1.0
IDLE_S = 0.5  # longest wait without a look at the clock


class Reader(threading.Thread):
    """Reads all connections of a server.

    Args:
        connections: not yet connected.
        wait_s: how long to try to reach i-PI, at the start and after it dropped a connection.
        touched: a file to touch every second as a sign of life, ``None`` for none.

    Attributes:
        inbox: gives ``(connection, Init | Request)``, an exception that ends the server, or
            ``None`` when every connection has ended.
    """

    def __init__(
        self, connections: Sequence[Connection], wait_s: float, touched: Path | None = None
    ) -> None:
        super().__init__(name="halfkick-reader", daemon=True)
        self.inbox: SimpleQueue[tuple[Connection, Event] | Exception | None] = SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._alarm, self._woken = socket.socketpair()  # ends a wait for i-PI
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._wait_s = wait_s
        now = time.monotonic()
        self._waiting = {connection: now + wait_s for connection in connections}
        self._notice = now + NOTICE_S
        self._touched, self._touch_next = touched, now
        self._met = False
        self._stopping = False

    def run(self) -> None:
        """Read until every connection has ended."""
        try:
            while not self._stopping:
                self._touch()
                self._connect_waiting()
                if not self._waiting and len(self._selector.get_map()) == 1:
                    break
                for key, _ in self._selector.select(RETRY_S if self._waiting else IDLE_S):
                    if key.fileobj is not self._woken:
                        self._read(key.fileobj)
            self.inbox.put(None)
        except Exception as error:
            self.inbox.put(error)

    def stop(self) -> None:
        """End the thread and close every connection."""
        self._stopping = True
        self._alarm.send(b"!")
        self.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._alarm.close()
        self._selector.close()

    def _touch(self) -> None:
        if self._touched is not None and time.monotonic() >= self._touch_next:
            self._touch_next = time.monotonic() + TOUCH_S
            self._touched.touch()

    def _connect_waiting(self) -> None:
        now = time.monotonic()
        for connection, deadline in list(self._waiting.items()):
            if connection.connect():
                del self._waiting[connection]
                self._met = True
                self._selector.register(connection, selectors.EVENT_READ)
                log.info("connected to i-PI at %s", connection.address)
            elif now > deadline:
                self._give_up(connection)
            elif now > self._notice:
                self._notice = now + NOTICE_S
                log.warning(
                    "waiting for i-PI at %s (%.0f s left)", connection.address, deadline - now
                )

    def _give_up(self, connection: Connection) -> None:
        if not self._met:
            raise ConfigError(
                f"expected i-PI at {connection.address}, nobody came within {self._wait_s:g} s; "
                f"start i-PI, check the address, or give --wait more seconds"
            )
        del self._waiting[connection]
        log.info("i-PI does not listen at %s any more", connection.address)

    def _read(self, connection: Connection) -> None:
        try:
            events = connection.receive()
        except Closed as closed:
            log.warning("lost the connection to i-PI at %s: %s", connection.address, closed)
            self._leave(connection, COME_BACK_S)
            return
        for event in events:
            if isinstance(event, Exit):
                log.info("i-PI said EXIT at %s", connection.address)
                self._leave(connection, LINGER_S)
                return
            self.inbox.put((connection, event))

    def _leave(self, connection: Connection, patience_s: float) -> None:
        """Close, and come back if i-PI goes on listening.

        EXIT is no proof of the end: i-PI says it, too, to a client that let the timeout pass.
        """
        self._selector.unregister(connection)
        connection.close()
        again = Connection(connection.address, connection.slot)
        self._waiting[again] = time.monotonic() + min(self._wait_s, patience_s)
