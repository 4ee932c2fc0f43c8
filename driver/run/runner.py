"""A runner of inputs: one after the other, silently, and none that has been run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ..errors import RunError
from ..ipi.input import IpiInput
from .folder import RunFolder
from .processes import Machine

__all__ = ["Runner", "finished", "quiet_runner", "state_after"]

Runner = Callable[[Path], int]
"""Runs an input to its end and returns an exit code, 0 if all went well."""

SIGNALLED = 128


def quiet_runner(machine: Machine, *, resume: bool = False) -> Runner:
    """Return what runs i-PI and the driver on an input, as ``halfkick run`` does.

    An input whose run has finished since it was written is not run again. KeyboardInterrupt is
    raised if a signal ends a run, so that no further one is started.

    Args:
        machine: where the model runs.
        resume: whether to go on with a run that was interrupted, instead of from its start.
    """
    from rich.console import Console

    from .launch import run

    def to_its_end(xml: Path) -> int:
        if finished(xml):
            return 0
        restart = resume and _can_go_on(xml)
        code = run(xml, machine, Console(quiet=True), restart=restart)
        if code >= SIGNALLED:
            raise KeyboardInterrupt
        return code

    return to_its_end


def state_after(xml: Path, run: Runner) -> Path:
    """Run an input, unless that has been done, and return its RESTART.

    Raises:
        RunError: if it does not end well.
    """
    files = RunFolder(xml.parent)
    if run(xml) != 0:
        raise RunError(
            f"expected the run in '{files.path}' to end well; see its {files.driver_log.name}"
        )
    return files.restart


def finished(xml: Path) -> bool:
    """Whether the run of an input has finished since it was written."""
    summary = RunFolder(xml.parent).summary
    try:
        newer = summary.stat().st_mtime >= xml.stat().st_mtime
        return newer and json.loads(summary.read_text())["state"] == "finished"
    except (OSError, ValueError, KeyError):
        return False


def _can_go_on(xml: Path) -> bool:
    """Whether there is a state of this very input, before its end."""
    source = IpiInput.read(xml)
    states = [RunFolder(xml.parent).restart, *source.files.on_disk("checkpoint")]
    own = [p for p in states if p.is_file() and p.stat().st_mtime >= xml.stat().st_mtime]
    steps = [IpiInput.read_state(path).step for path in own]
    return bool(steps) and max(steps) < source.total_steps
