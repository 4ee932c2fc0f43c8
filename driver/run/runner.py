"""A runner of inputs: one after the other, silently, and none that has been run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .folder import RunFolder
from .processes import Machine

__all__ = ["Runner", "quiet_runner"]

Runner = Callable[[Path], int]
"""Runs an input to its end and returns an exit code, 0 if all went well."""

SIGNALLED = 128


def quiet_runner(machine: Machine) -> Runner:
    """Return what runs i-PI and the driver on an input, as ``halfkick run`` does.

    An input whose run has finished since it was written is not run again. KeyboardInterrupt is
    raised if a signal ends a run, so that no further one is started.
    """
    from rich.console import Console

    from .launch import run

    def to_its_end(xml: Path) -> int:
        if _finished(xml):
            return 0
        code = run(xml, machine, Console(quiet=True))
        if code >= SIGNALLED:
            raise KeyboardInterrupt
        return code

    return to_its_end


def _finished(xml: Path) -> bool:
    summary = RunFolder(xml.parent).summary
    try:
        newer = summary.stat().st_mtime >= xml.stat().st_mtime
        return newer and json.loads(summary.read_text())["state"] == "finished"
    except (OSError, ValueError, KeyError):
        return False
