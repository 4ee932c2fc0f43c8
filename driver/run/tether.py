"""Becomes a command that is asked to end when its parent dies, however that dies.

``python -m halfkick.driver.run.tether COMMAND ARGUMENT...``
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h; it outlives exec


def main() -> None:
    """Tie this process to its parent where the system can, and run the command in its place."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
