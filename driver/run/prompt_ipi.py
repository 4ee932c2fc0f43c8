"""Becomes i-PI, but one that ends as soon as it has nothing left to do.

``python -m halfkick.driver.run.prompt_ipi I-PI ARGUMENT...``

i-PI looks for signals and for the file EXIT once a second, and its end waits for the next look: up
to a second each time, and for nothing.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence

__all__ = ["wrap_ipi"]

LOOK_INTERVAL_S = 0.05


def wrap_ipi(script: Sequence[str]) -> list[str]:
    """Return a command that runs i-PI's script, path and arguments, with prompt ends."""
    return [sys.executable, "-m", __name__, *script]


def main() -> None:
    """Run the script as if it had been called itself."""
    from ipi.utils import softexit

    softexit.SOFTEXITLATENCY = LOOK_INTERVAL_S
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
