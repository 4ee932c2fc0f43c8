"""i-PI as ``halfkick run`` starts it: the same script, but an end that it does not wait for."""

from __future__ import annotations

import subprocess
import sys

from ipi.utils import softexit

from halfkick.driver.run.prompt_ipi import LOOK_INTERVAL_S, wrap_ipi

SCRIPT = """
import sys
from ipi.utils import softexit
print(__name__, *sys.argv, softexit.SOFTEXITLATENCY)
"""


def test_prompt_ipi_runs_the_script_with_shorter_looks(tmp_path):
    """The twin is the script alone: i-PI has that constant, and it is long."""
    script = tmp_path / "script"
    script.write_text(SCRIPT)
    said = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        for command in (wrap_ipi([str(script), "input.xml"]), [sys.executable, script, "input.xml"])
    ]
    assert said[0][:-1] == said[1][:-1] == ["__main__", str(script), "input.xml"]
    assert float(said[0][-1]) == LOOK_INTERVAL_S
    assert float(said[1][-1]) == softexit.SOFTEXITLATENCY > 10 * LOOK_INTERVAL_S
