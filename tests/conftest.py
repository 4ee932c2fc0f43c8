"""Lets tests import their helpers (toy, simulation), be interrupted, and run side by side."""

import importlib.util
import os
import signal
import sys
from pathlib import Path

import pytest

for folder in ("helpers", "tools"):
    sys.path.insert(0, str(Path(__file__).parent / folder))

# before torch is imported: threads of three workers on two cores would wait for each other
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_configure(config) -> None:
    """Take the signals that the shell (a job in the background) or nohup left ignored.

    Files run in their order, those of ``unit`` last, which are short: xdist would begin with those
    of many tests, and in the end wait for a long one.
    """
    config.option.loadscopereorder = False
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_collection_modifyitems(items) -> None:
    """Mark what stands in tests/ipi; skip what this machine lacks."""
    for item in items:
        if item.path.parent.name == "ipi":
            item.add_marker(pytest.mark.ipi)
        if item.get_closest_marker("gpu") and not Path("/dev/nvidiactl").exists():
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))
        for module in (name for mark in item.iter_markers("extra") for name in mark.args):
            if importlib.util.find_spec(module) is None:
                item.add_marker(pytest.mark.skip(reason=f"needs {module}, which an extra installs"))


@pytest.fixture(autouse=True)
def default_dtype_of_torch():
    """Put it back where a calculator of another package has changed it."""
    torch = sys.modules.get("torch")
    before = torch and torch.get_default_dtype()
    yield
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.set_default_dtype(before or torch.float32)


@pytest.fixture
def nothing_outlives_the_test(tmp_path):
    """End the processes that a failed test leaves."""
    from running import children

    yield
    for pid in children(tmp_path).values():
        os.kill(pid, signal.SIGKILL)
