"""Lets tests import their helpers (toy, simulation), be interrupted, and run side by side."""

import os
import signal
import sys
from pathlib import Path

import pytest

for folder in ("helpers", "tools"):
    sys.path.insert(0, str(Path(__file__).parent / folder))

# before torch is imported: threads of two workers on two cores would wait for each other
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_configure() -> None:
    """Take the signals that the shell (a job in the background) or nohup left ignored."""
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.fixture
def nothing_outlives_the_test(tmp_path):
    """End the processes that a failed test leaves."""
    from running import children

    yield
    for pid in children(tmp_path).values():
        os.kill(pid, signal.SIGKILL)
