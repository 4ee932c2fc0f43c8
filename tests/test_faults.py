"""A few random faults in one run; ``python tests/faults.py`` does hundreds."""

from __future__ import annotations

import faults


def test_a_disturbed_run_is_the_undisturbed_one(tmp_path):
    kinds = ["connection cut", "connection cut", "connection reset", "driver killed"]
    report = faults.main(kinds, 3, tmp_path)
    assert report.kinds.total() == 4
