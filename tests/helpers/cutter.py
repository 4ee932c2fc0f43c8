"""Stands between i-PI and the driver at a unix socket, and cuts connections within a message."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY = 0.001  # s; i-PI should not be reached before we are in between
PIECE = 1 << 16


@dataclass(eq=False)
class Cut:
    """A cut to come.

    Attributes:
        sender: ``i-PI`` or ``driver``, whose message is cut.
        left: bytes of it that still pass, on one connection.
        reset: whether bytes of the sender are left unread, so that it finds a reset connection.
    """

    sender: str
    left: int
    reset: bool
    pair: Pair | None = None


@dataclass(eq=False)
class Pair:
    """Both ends of one connection of the driver, by who is there."""

    ends: dict[str, socket.socket]

    def other(self, who: str) -> socket.socket:
        return self.ends["driver" if who == "i-PI" else "i-PI"]


class Cutter(threading.Thread):
    """Takes the place of i-PI's socket file whenever i-PI makes one, and passes on what is said.

    Args:
        path: the socket file.

    Attributes:
        done: set when the cut that was asked for last was made.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path, self.real = path, path.with_name(f"{path.name}.real")
        self.done = threading.Event()
        self._cut: Cut | None = None
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._inode = 0
        self._stopping = False

    def cut(self, sender: str, after: int, reset: bool) -> None:
        """Cut a connection when its sender has sent so many more bytes."""
        self.done.clear()
        self._cut = Cut(sender, after, reset)

    def withdraw(self) -> None:
        """Leave the place, as i-PI does when it is killed: the socket file stays, deaf."""
        with self._lock:
            if self._listener is not None:
                self._selector.unregister(self._listener)
                self._listener.close()
                self._listener = None
            self.real.unlink(missing_ok=True)

    def stop(self) -> None:
        self._stopping = True
        self.join()
        self.withdraw()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()

    def run(self) -> None:
        while not self._stopping:
            with self._lock:
                self._take_place()
                for key, _ in self._selector.select(LOOK_EVERY):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj.fileno() >= 0:
                        self._pass_on(key.fileobj, *key.data)

    def _take_place(self) -> None:
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:  # i-PI has ended
            if self._listener is not None:
                self._selector.unregister(self._listener)
                self._listener.close()
                self._listener = None
                self.real.unlink(missing_ok=True)
            self._inode = 0
            return
        if inode == self._inode:
            return
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
        self.path.rename(self.real)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        self._inode = self.path.stat().st_ino
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _accept(self) -> None:
        driver, _ = self._listener.accept()
        ipi = socket.socket(socket.AF_UNIX)
        try:
            ipi.setblocking(False)
            ipi.connect(str(self.real))
            ipi.setblocking(True)
        except OSError:  # it is bound, but does not listen yet: the driver comes again
            ipi.close()
            driver.close()
            return
        pair = Pair({"i-PI": ipi, "driver": driver})
        for who, end in pair.ends.items():
            self._selector.register(end, selectors.EVENT_READ, (pair, who))

    def _pass_on(self, end: socket.socket, pair: Pair, who: str) -> None:
        cut = self._cut
        mine = cut is not None and cut.sender == who and cut.pair in (None, pair)
        try:
            data = end.recv(min(PIECE, cut.left) if mine and cut.reset else PIECE)
        except OSError:
            data = b""
        if not data:
            self._close(pair)
            if cut is not None and cut.pair is pair:
                cut.pair = None
            return
        if not mine:
            with contextlib.suppress(OSError):
                pair.other(who).sendall(data)
            return
        cut.pair = pair
        with contextlib.suppress(OSError):
            pair.other(who).sendall(data[: cut.left])
        cut.left -= len(data)
        if cut.left <= 0:
            self._cut = None
            self._close(pair)
            self.done.set()

    def _close(self, pair: Pair) -> None:
        for end in pair.ends.values():
            self._selector.unregister(end)
            end.close()
