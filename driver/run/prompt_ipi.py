"""Becomes i-PI, but one that waits less.

``python -m halfkick.driver.run.prompt_ipi I-PI ARGUMENT...``

- i-PI looks for signals and for the file EXIT once a second, and its end waits for the next look:
  up to a second each time, and for nothing.
- After each row of its outputs it waits until the disk has it (``fsync``), which takes as long as a
  pass of a small model. Here that happens once a second. Other processes see each row at once, and
  one that ends, however it does, loses none: only a machine that fails can lose the last ones.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

__all__ = ["SeldomSync", "hasten_ipi", "wrap_ipi"]

LOOK_INTERVAL_S = 0.05
SYNC_INTERVAL_S = 1.0


class SeldomSync:
    """Takes the place of ``os.fsync``: lets a file through at most once in a time.

    Args:
        sync: the real one.
        clock: time in s.
    """

    def __init__(
        self,
        sync: Callable[[int], None] = os.fsync,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sync = sync
        self._clock = clock
        self._last: dict[int, float] = {}

    def __call__(self, fd: FileDescriptorLike) -> None:
        """Write a file to the disk, if it is time.

        Raises:
            OSError: if the disk has no room or is gone.
        """
        number = fd if isinstance(fd, int) else fd.fileno()
        now = self._clock()
        if now - self._last.get(number, -SYNC_INTERVAL_S) >= SYNC_INTERVAL_S:
            self._sync(number)
            self._last[number] = now


def wrap_ipi(script: Sequence[str]) -> list[str]:
    """Return a command that runs i-PI's script, path and arguments, and waits less."""
    return [sys.executable, "-m", __name__, *script]


def hasten_ipi() -> None:
    """Make i-PI of this process wait less."""
    from ipi.utils import softexit

    softexit.SOFTEXITLATENCY = LOOK_INTERVAL_S
    os.fsync = SeldomSync()


def main() -> None:
    """Run the script as if it had been called itself."""
    hasten_ipi()
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
