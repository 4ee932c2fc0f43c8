"""Memory of a process that makes and drops the same large arrays over and over."""

from __future__ import annotations

import ctypes
import os

__all__ = ["keep_memory"]

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # glibc's malloc.h


def keep_memory() -> None:
    """Keep freed memory for the next evaluation instead of giving it back to the system.

    Arrays above 32 MiB come and go with pages that the system has to find and clear each time: in
    a box of thousands of atoms that takes longer than the model. Does nothing where C's library is
    not glibc, and nothing against the user's own ``MALLOC_…`` variables.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, -1)
