"""``halfkick`` in the process of the tests, which has loaded what a new one would have to load."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

import pytest
from simulation import ENVIRONMENT

from halfkick.driver.cli import main

DEADLINE = 180  # s, far beyond what anything here takes
LOG = logging.getLogger("halfkick")


def halfkick(folder: Path, *words: str) -> CompletedProcess[str]:
    """What a shell in ``folder`` would get of a command; i-PI and the driver are processes."""
    out, err = io.StringIO(), io.StringIO()
    with (
        left_as_found(),
        warnings.catch_warnings(),
        pytest.MonkeyPatch.context() as here,
        patch.dict(os.environ, ENVIRONMENT),
        pytest.raises(SystemExit) as ended,
    ):
        warnings.simplefilter("default")  # as in a process of its own: no errors
        here.chdir(folder)
        here.setattr(sys, "argv", ["halfkick", *words])
        here.setattr(sys, "stdout", out)
        here.setattr(sys, "stderr", err)
        here.setattr(logging.root, "handlers", [])  # not pytest's: the command adds its own
        main()
    return CompletedProcess(words, int(ended.value.code or 0), out.getvalue(), err.getvalue())


@contextmanager
def left_as_found() -> Iterator[None]:
    """Undo what a command does to its process; end one that hangs."""

    def too_late(number: int, frame: object) -> None:
        raise TimeoutError(f"expected an end within {DEADLINE} s")

    terminate, level = signal.getsignal(signal.SIGTERM), LOG.level
    alarm = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(DEADLINE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, alarm)
        signal.signal(signal.SIGTERM, terminate)
        LOG.setLevel(level)
