"""Threads of the model leave i-PI its core, unless the user says otherwise."""

from __future__ import annotations

import logging
import os

from halfkick.driver.threads import settle


def test_threads_are_as_asked_and_wait_asleep(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "halfkick")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    settle(None)
    assert "GOMP_SPINCOUNT" not in os.environ
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"]) == ("3", "ACTIVE")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    settle(2)
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"]) == ("2", "PASSIVE")
    assert 0 < int(os.environ["GOMP_SPINCOUNT"]) < 300_000  # GNU's default: milliseconds
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    monkeypatch.delenv("OMP_NUM_THREADS")
    settle(None)
    assert int(os.environ["OMP_NUM_THREADS"]) >= 1 and os.environ["GOMP_SPINCOUNT"] == "7"
    assert [r.message.partition(" on ")[0] for r in caplog.records[:2]] == [
        "CPU threads: 3",
        "CPU threads: 2",
    ]
    assert [r.message.partition("cores, ")[2] for r in caplog.records[:2]] == [
        "active while they wait",
        "passive while they wait",
    ]
