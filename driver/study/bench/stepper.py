"""i-PI as a child that does as many steps as it is told and says how long each one took.

Started as ``python -m halfkick.driver.study.bench.stepper input.xml``: a number on standard input
is answered by a line ``steps [seconds, …]`` on standard output; the end of input ends it.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipi.engine.simulation import Simulation

__all__ = ["REPLY", "main"]

REPLY = "steps "


def main(input_xml: Path) -> None:
    """Run i-PI step by step."""
    from ipi.engine.simulation import Simulation

    with input_xml.open() as file:
        simulation = Simulation.load_from_xml(file)
    with ThreadPoolExecutor(len(simulation.syslist)) as simulation.executor:  # as its run() does
        follow(simulation)
    simulation.stop()


def follow(simulation: Simulation) -> None:
    """Do what standard input says until it ends."""
    for line in sys.stdin:
        times_s = []
        for _ in range(int(line)):
            start = time.perf_counter()
            simulation.run_step(simulation.step)
            simulation.step += 1
            times_s.append(time.perf_counter() - start)
        print(REPLY + json.dumps(times_s), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
