"""i-PI as ``halfkick run`` starts it: the same script, but without waits for nothing."""

from __future__ import annotations

import subprocess
import sys

from ipi.utils import softexit

from halfkick.driver.run.prompt_ipi import LOOK_INTERVAL_S, SeldomSync, wrap_ipi

SCRIPT = """
import sys
from ipi.utils import softexit
print(__name__, *sys.argv, softexit.SOFTEXITLATENCY)
"""

ROWS = """
import os
from ipi.engine.outputs import BaseOutput

synced = []
if hasattr(os.fsync, "_clock"):
    os.fsync._sync, os.fsync._clock = synced.append, lambda: 0.0
else:
    os.fsync = synced.append
output = BaseOutput("rows")
output.bind()
seen = 0
for row in range(10):
    output.write("a row\\n")
    output.force_flush()
    seen += len(open("rows").readlines()) == row + 1
print(seen, len(synced))
"""


def said_by(text, tmp_path):
    """What a script says as i-PI of ``halfkick run``, and alone."""
    script = tmp_path / "script"
    script.write_text(text)
    commands = wrap_ipi([str(script), "input.xml"]), [sys.executable, str(script), "input.xml"]
    return [
        subprocess.run(c, capture_output=True, text=True, check=True, cwd=tmp_path).stdout.split()
        for c in commands
    ]


def test_prompt_ipi_runs_the_script_with_shorter_looks(tmp_path):
    """The twin is the script alone: i-PI has that constant, and it is long."""
    said = said_by(SCRIPT, tmp_path)
    assert said[0][:-1] == said[1][:-1] == ["__main__", str(tmp_path / "script"), "input.xml"]
    assert float(said[0][-1]) == LOOK_INTERVAL_S
    assert float(said[1][-1]) == softexit.SOFTEXITLATENCY > 10 * LOOK_INTERVAL_S


def test_rows_are_seen_at_once_and_synced_once_a_second(tmp_path):
    """The twin is i-PI alone, which waits for the disk at each row."""
    said = said_by(ROWS, tmp_path)
    assert [words[-2:] for words in said] == [["10", "1"], ["10", "10"]]


def test_each_file_is_synced_at_its_times(tmp_path):
    synced, now = [], [0.0]
    sync = SeldomSync(synced.append, lambda: now[0])
    with (tmp_path / "rows").open("w") as file:
        number = file.fileno()
        for now[0] in (0.0, 0.5, 0.9, 1.0, 1.5, 2.5):
            sync(file)
            sync(-1)  # another one
    assert synced == [number, -1] * 3
