"""Conservative requests that no direct one announces are answered as they should be."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from simulation import HALFKICK, PROMPT_IPI, Case, last_positions, start, write

from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.server.cycle import foresee
from halfkick.models.base import Role

ROLES = {str(role): role for role in Role}
QUANTUM = Case("pile", beads=4, batch=4, steps=12)
CONTRACTED = ("forcefield='conservative'", "forcefield='conservative' nbeads='2'")
SUZUKI_CHIN = ("<dynamics mode='nvt'>", "<dynamics mode='sc'>")
SCALED = ("kinetic_md{electronvolt}", "kinetic_md{electronvolt}, scaledcoords(fd_delta=5e-3)")


def run(folder, case, edit):
    """Run a case with something replaced in its input; the last positions and what was counted."""
    folder.mkdir()
    path = write(folder, case)
    text = path.read_text()
    assert edit[0] in text
    path.write_text(text.replace(*edit))
    processes = [start([*PROMPT_IPI, "input.xml"], folder, "i-pi.log")]
    if case.mode is not None:
        command = [*HALFKICK, "serve", "input.xml", "--report", "r.json"]
        processes.append(start(command, folder, "driver.log"))
    try:
        codes = [process.wait(90) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert set(codes) == {0}, (folder / "i-pi.log").read_text()[-2000:]
    report = folder / "r.json"
    counts = json.loads(report.read_text()) if report.exists() else None
    return last_positions(folder), counts


@pytest.mark.parametrize(
    ("case", "edit"),
    [
        (replace(QUANTUM, batch=2), CONTRACTED),
        (QUANTUM, SUZUKI_CHIN),
        (Case("svr", steps=12), SCALED),
    ],
    ids=["contraction", "suzuki-chin", "scaledcoords"],
)
def test_unannounced_requests_are_answered_exactly(tmp_path, case, edit):
    positions, counts = run(tmp_path / "sockets", case, edit)
    expected, _ = run(tmp_path / "inside", replace(case, mode=None, batch=1), edit)
    assert np.abs(positions - expected).max() < 1e-10
    # many conservative forces are beyond the cycle of the input: this has tested something
    cycle = foresee(IpiInput.read(tmp_path / "sockets/input.xml").systems, ROLES).cycle
    foreseen = (case.steps + 1) * (cycle.paired if cycle else 0)
    made = counts["evaluations"]["conservative"] + counts["evaluations"]["both"]
    assert made - foreseen >= case.steps // 4
    # and guesses in vain are few, however the requests of the two force fields interleave
    assert counts["predictions"]["wasted"] <= case.steps * case.beads
