"""Connects, reads and answers STATUS, whatever the model is doing."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue

from ...errors import InputError
from .connection import Closed, Connection
from .protocol import Exit, Init, Request

__all__ = ["Item", "Reader"]

Item = tuple[Connection, Init | Request] | Exception | None

log = logging.getLogger("halfkick")

CONNECT_RETRY_S = 0.05
WAITING_NOTICE_S = 5.0
EXIT_LINGER_S = 0.1
RECONNECT_S = 2.0
HEARTBEAT_S = 1.0
MAX_IDLE_S = 0.5  # longest wait without a look at the clock
WATCH_DELAY_S = 0.005  # how long the model computes before somebody else reads


class Reader:
    """Reads all connections of a server.

    Whoever waits for requests reads them itself: handing them from thread to thread costs more
    than the rest of a driver's work. Only while a model computes, a second thread reads instead.

    Args:
        connections: not yet connected.
        wait_s: how long to try to reach i-PI, at the start and after it dropped a connection.
        touched: a file to touch every second as a sign of life, ``None`` for none.
    """

    def __init__(
        self, connections: Sequence[Connection], wait_s: float, touched: Path | None = None
    ) -> None:
        self._inbox: SimpleQueue[Item] = SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._alarm, self._woken = socket.socketpair()  # ends a wait for i-PI
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._wait_s = wait_s
        now = time.monotonic()
        self._waiting = {connection: now + wait_s for connection in connections}
        self._notice = now + WAITING_NOTICE_S
        self._touched, self._touch_next = touched, now
        self._met = False
        self._ended = False
        self._reading = threading.Lock()
        self._asked = False  # somebody waits for the watcher to find something
        self._watcher = threading.Thread(target=self._watch, name="halfkick-watcher", daemon=True)

    def start(self) -> None:
        """Let connections be watched."""
        self._watcher.start()

    def next(self) -> Item:
        """Wait for ``(connection, Init | Request)``, or for one of the two ends.

        Returns:
            An exception that ends the server, or ``None`` when every connection has ended.
        """
        while self._inbox.empty() and not self._ended and self._read(wait=True):
            pass
        if self._ended and self._inbox.empty():
            return None
        self._asked = True
        item = self._inbox.get()
        self._asked = False
        return item

    def next_at_once(self) -> Item:
        """Return what ``next`` would return without waiting.

        Raises:
            queue.Empty: if there is nothing yet.
        """
        alone = len(self._selector.get_map()) == 2  # i-PI waits for the answer there
        if not alone and self._inbox.empty():
            self._read(wait=False)
        return self._inbox.get_nowait()

    def stop(self) -> None:
        """End the watcher and close every connection."""
        self._ended = True
        self._alarm.send(b"!")
        self._watcher.join()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, Connection | socket.socket):
                key.fileobj.close()
        self._alarm.close()
        self._selector.close()

    def _watch(self) -> None:
        """Read while the other thread computes, until it waits again and something has come."""
        while not self._ended:
            time.sleep(WATCH_DELAY_S)
            self._read(wait=True, until=lambda: self._asked and not self._inbox.empty())

    def _read(self, *, wait: bool, until: Callable[[], bool] = lambda: True) -> bool:
        """Look at all connections, again and again ``until`` it is enough or all is over.

        Returns False, and does nothing, if the other thread reads.
        """
        if not self._reading.acquire(blocking=False):
            return False
        try:
            self._look(wait=wait)
            while not (self._ended or until()):
                self._look(wait=wait)
        finally:
            self._reading.release()
        return True

    def _look(self, *, wait: bool) -> None:
        """Connect, read what has come, or wait for it; put it in the inbox."""
        try:
            self._touch()
            if self._waiting:
                self._connect_waiting()
            if not self._waiting and len(self._selector.get_map()) == 1:
                self._end(None)
                return
            patience = CONNECT_RETRY_S if self._waiting else MAX_IDLE_S
            for key, _ in self._selector.select(patience if wait else 0):
                if isinstance(key.fileobj, Connection):  # else somebody ends the wait
                    self._take_from(key.fileobj)
        except Exception as error:
            self._end(error)

    def _end(self, item: Exception | None) -> None:
        self._inbox.put(item)
        self._ended = True

    def _touch(self) -> None:
        if self._touched is not None and time.monotonic() >= self._touch_next:
            self._touch_next = time.monotonic() + HEARTBEAT_S
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
                self._notice = now + WAITING_NOTICE_S
                log.warning(
                    "waiting for i-PI at %s (%.0f s left)", connection.address, deadline - now
                )

    def _give_up(self, connection: Connection) -> None:
        if not self._met:
            raise InputError(
                f"expected i-PI at {connection.address}, nobody came within {self._wait_s:g} s; "
                f"start i-PI, check the address, or give --wait more seconds"
            )
        del self._waiting[connection]
        log.info("i-PI does not listen at %s any more", connection.address)

    def _take_from(self, connection: Connection) -> None:
        try:
            events = connection.receive()
        except Closed as closed:
            log.warning("lost the connection to i-PI at %s: %s", connection.address, closed)
            self._leave(connection, RECONNECT_S)
            return
        for event in events:
            if isinstance(event, Exit):
                log.info("i-PI said EXIT at %s", connection.address)
                self._leave(connection, EXIT_LINGER_S)
                return
            self._inbox.put((connection, event))

    def _leave(self, connection: Connection, patience_s: float) -> None:
        """Close, and come back if i-PI goes on listening.

        EXIT is no proof of the end: i-PI says it, too, to a client that let the timeout pass.
        """
        self._selector.unregister(connection)
        connection.close()
        again = Connection(connection.address, connection.slot)
        self._waiting[again] = time.monotonic() + min(self._wait_s, patience_s)
