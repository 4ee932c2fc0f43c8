"""Runs inputs one after the other, without a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

__all__ = ["Runner", "quiet_runner"]

Runner = Callable[[Path], int]
"""Runs an input to its end and returns an exit code, 0 if all went well."""

SIGNALLED = 128


def quiet_runner(
    *, device: str = "cpu", dtype: str | None = None, threads: int | None = None, wait: float = 60.0
) -> Runner:
    """Return what runs i-PI and the driver on an input, as ``halfkick run`` does.

    It raises KeyboardInterrupt if a signal ends a run, so that no further one is started.
    """
    from rich.console import Console

    from halfkick.driver.run.launch import run

    def to_its_end(xml: Path) -> int:
        code = run(
            xml,
            steps=None,
            restart=False,
            driver_only=False,
            threads=threads,
            device=device,
            dtype=dtype,
            wait=wait,
            console=Console(quiet=True),
        )
        if code >= SIGNALLED:
            raise KeyboardInterrupt
        return code

    return to_its_end
