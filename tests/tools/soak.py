"""Runs i-PI and the driver long, with a model that costs nothing: memory and time of a step.

``python tests/tools/soak.py --steps 100000`` says how much both processes hold, and how much CPU
time and wall time an outer step takes, in each tenth of the run. CPU time does not depend on what
else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from running import children
from simulation import HALFKICK, Case, start, write

PARTS = 10
NULL_MODEL = "python:halfkick.driver.study.bench.null_model:NullModel"
CASE = Case("nve", strides=(1, 2), model=NULL_MODEL)
GROWTH = 0.02
"""By how much memory may grow from the second to the last tenth."""

DRIFT = 0.2
"""By how much the CPU time of a step may."""


@dataclass
class Sample:
    """One look at a process.

    Attributes:
        step: outer steps done.
        memory_MB: resident.
        cpu_s: CPU time used so far.
        time_s: of the clock.
    """

    step: int
    memory_MB: float
    cpu_s: float
    time_s: float


def look(pid: int, step: int) -> Sample:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    cpu_s = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return Sample(step, pages * os.sysconf("SC_PAGE_SIZE") / 1e6, cpu_s, time.monotonic())


def corrections(folder: Path) -> int:
    """Conservative requests so far: outer steps and the start."""
    path = folder / "driver.jsonl"
    if not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 4096, 0))
        lines = file.read().split(b"\n")[-2:-1]
    return json.loads(lines[0])["corrections"] if lines and lines[0].startswith(b"{") else 0


def soak(steps: int, folder: Path) -> dict[str, list[Sample]]:
    """Run to the end, with a look at both processes after each tenth."""
    path = write(folder, CASE)
    xml = path.read_text().replace("<total_steps> 50 ", f"<total_steps> {steps} ")
    path.write_text(
        xml.replace("properties stride='1'", f"properties stride='{max(1, steps // 1000)}'")
    )
    process = start([*HALFKICK, "run", "input.xml"], folder, "run.log")
    samples: dict[str, list[Sample]] = {"i-pi": [], "driver": []}
    try:
        while process.poll() is None:
            step = corrections(folder)
            if step >= len(samples["i-pi"]) * steps // PARTS:
                pids = children(folder)
                if step and pids.keys() >= samples.keys():
                    for name, looks in samples.items():
                        looks.append(look(pids[name], step))
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait()
    if process.returncode != 0:
        raise RuntimeError((folder / "run.log").read_text()[-2000:])
    return samples


def table(samples: dict[str, list[Sample]]) -> str:
    lines = ["steps    i-PI: MB  CPU ms/step    driver: MB  CPU ms/step    wall ms/step"]
    ipi, driver = samples["i-pi"], samples["driver"]
    for i in range(1, len(ipi)):
        count = ipi[i].step - ipi[i - 1].step
        cpu = [1e3 * (looks[i].cpu_s - looks[i - 1].cpu_s) / count for looks in (ipi, driver)]
        wall = 1e3 * (ipi[i].time_s - ipi[i - 1].time_s) / count
        lines.append(
            f"{ipi[i].step:6d} {ipi[i].memory_MB:10.1f} {cpu[0]:11.3f} "
            f"{driver[i].memory_MB:14.1f} {cpu[1]:11.3f} {wall:15.3f}"
        )
    return "\n".join(lines)


def judge(samples: dict[str, list[Sample]]) -> list[str]:
    """What grew; nothing if all is well."""
    found = []
    for name, looks in samples.items():
        if looks[-1].memory_MB > (1.0 + GROWTH) * looks[2].memory_MB:
            found.append(f"memory of {name}: {looks[2].memory_MB} to {looks[-1].memory_MB} MB")
        first, last = (
            (looks[i].cpu_s - looks[j].cpu_s) / (looks[i].step - looks[j].step)
            for i, j in ((3, 1), (-1, -3))
        )
        if last > (1.0 + DRIFT) * first:
            found.append(f"CPU time of a step of {name}: {1e3 * first:.3f} to {1e3 * last:.3f} ms")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hk") as name:
        begin = time.monotonic()
        samples = soak(options.steps, Path(name))
    print(table(samples))
    print(f"{options.steps} outer steps in {time.monotonic() - begin:.0f} s")
    if found := judge(samples):
        sys.exit("grew: " + "; ".join(found))
    print("memory is flat, the time of a step does not drift")
