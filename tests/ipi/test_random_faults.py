"""A few random faults in one run; ``python tests/tools/faults.py`` does hundreds."""

from __future__ import annotations

import random

import faults
from running import children


def test_randomly_disturbed_run_is_the_undisturbed_one(tmp_path):
    kinds = ["connection cut", "connection cut", "connection reset"]
    assert faults.main(kinds, 3, tmp_path).kinds.total() == 3


def test_connections_reset_again_and_again_end_the_run(tmp_path):
    run = faults.Run(tmp_path, random.Random(5))
    try:
        faults.until(lambda: run.last_step() >= 5, "no start", run)
        while run.process.poll() is None:
            run.cutter.cut("i-PI", 2000, reset=True)
            while not run.cutter.done.wait(0.1) and run.process.poll() is None:
                pass
        assert run.process.returncode == 1
        assert "i-PI stopped listening 3 times at one step" in run.log()
        assert (tmp_path / "RESTART").exists()
        assert children(tmp_path) == {}
    finally:
        run.stop()
