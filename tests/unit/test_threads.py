"""The model's threads and i-PI leave each other the cores, unless the user says otherwise."""

from __future__ import annotations

import logging
import os
import sys

import pytest

from halfkick.driver.run.processes import Child
from halfkick.driver.threads import configure_threads


def test_threads_are_as_asked_and_wait_asleep(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "halfkick")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    configure_threads(None)
    assert "GOMP_SPINCOUNT" not in os.environ
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"]) == ("3", "ACTIVE")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    configure_threads(2)
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"]) == ("2", "PASSIVE")
    assert 0 < int(os.environ["GOMP_SPINCOUNT"]) < 300_000  # GNU's default: milliseconds
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    monkeypatch.delenv("OMP_NUM_THREADS")
    configure_threads(None)
    assert int(os.environ["OMP_NUM_THREADS"]) >= 1 and os.environ["GOMP_SPINCOUNT"] == "7"
    assert [r.message.partition(" on ")[0] for r in caplog.records[:2]] == [
        "CPU threads: 3",
        "CPU threads: 2",
    ]
    assert [r.message.partition("cores, ")[2] for r in caplog.records[:2]] == [
        "active while they wait",
        "passive while they wait",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such scheduling")
@pytest.mark.parametrize("batch, expected", [(True, "SCHED_BATCH"), (False, "SCHED_OTHER")])
def test_threads_are_not_interrupted_when_ipi_wakes(batch, expected, tmp_path):
    command = [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"]
    child = Child("child", command, tmp_path / "log", batch=batch)
    assert child.wait(60.0) and child.code == 0
    assert int((tmp_path / "log").read_text()) == getattr(os, expected)
