"""The journal of a run, and ``halfkick watch``, which shows it."""

from __future__ import annotations

import json

from running import finish, halfkick, run
from simulation import Case, write


def test_watch_shows_the_journal_of_a_run(tmp_path):
    write(tmp_path, Case("svr", strides=(1, 2), steps=25))
    assert run(tmp_path)[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "driver.jsonl").read_text().splitlines()]
    assert [line["corrections"] for line in lines] == [10, 20]
    for line in lines:
        assert sum(line["evaluations"].values()) >= 2 * line["corrections"] - 1
        assert 0 < line["driver_share"] <= 1
        assert line["memory_MB"] > 10
        (gap,) = line["gaps"]
        assert gap["rmse_meV_per_A"]["all"] > 1
        assert set(gap["rmse_meV_per_A"]) == {"all", "H", "O"}
    code, out, _ = finish(halfkick(tmp_path, "watch", "--once"))
    assert code == 0
    assert "of 25" in out and "meV/Å" in out


def test_watch_refuses_a_folder_without_journal(tmp_path):
    write(tmp_path, Case(steps=2))
    code, _, err = finish(halfkick(tmp_path, "watch"))
    assert code == 2 and "driver.jsonl" in err
