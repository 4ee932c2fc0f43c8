"""Becomes a command that is asked to end when its parent dies, however that dies.

``python -m halfkick.driver.run.die_with_parent [--batch] COMMAND ARGUMENT...``

With ``--batch`` it does not interrupt others when it wakes up (Linux's SCHED_BATCH): i-PI looks for
answers thousands of times a second, and each look would hold up the threads of the model.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Sequence

__all__ = ["BATCH", "wrap_command"]

BATCH = "--batch"
PR_SET_PDEATHSIG = 1  # linux/prctl.h; it outlives exec


def wrap_command(command: Sequence[str], *, batch: bool = False) -> list[str]:
    """Return a command that becomes ``command`` and dies with the process that starts it.

    Args:
        command: program and arguments.
        batch: whether it leaves the cores to others when it wakes up.
    """
    return [sys.executable, "-m", __name__, *([BATCH] if batch else []), *command]


def main() -> None:
    """Tie this process to its parent where the system can, and run the command in its place."""
    batch = sys.argv[1] == BATCH
    command = sys.argv[2 if batch else 1 :]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if batch:
            with contextlib.suppress(OSError):  # some containers do not allow it
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
