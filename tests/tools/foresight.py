"""What foreseeing i-PI's requests brings in time, with a model whose cost is a sleep.

``python tests/tools/foresight.py`` runs path integrals through i-PI and a driver, with predictions
and without: all cases, or those that are named. The model takes 20 ms for the direct forces of a
structure, 60 ms for the conservative ones and 62 ms for both, so that the machine does not matter
for what is added up.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

HELPERS = Path(__file__).parents[1] / "helpers"
sys.path[:0] = [str(HELPERS), str(Path(__file__).parent)]

from wells import Wells  # noqa: E402

DIRECT_S, CONSERVATIVE_S, BOTH_S = 0.02, 0.06, 0.062
STEPS = 10
COMPONENTS = "".join(
    f"<force forcefield='{name}' {on}> <mts_weights> {weights} </mts_weights> </force>"
    for name, on, weights in (
        ("conservative", "nbeads='2'", [1, 0]),
        ("direct", "nbeads='2'", [-1, 0]),
        ("direct", "", [0, 1]),
    )
)


class Sleeping(Wells):
    """Wells that take their time."""

    def evaluate(self, structures, roles):
        cost = BOTH_S if len(roles) > 1 else DIRECT_S if "direct" in roles else CONSERVATIVE_S
        time.sleep(cost * len(structures))
        return super().evaluate(structures, roles)


def sleeping():
    return Sleeping()


def contracted(xml: str) -> str:
    return re.sub("(?s)<forces>.*</forces>", f"<forces> {COMPONENTS} </forces>", xml)


def twice(xml: str) -> str:
    """Two systems, at temperatures of their own."""
    (system,) = re.findall("(?s)<system>.*</system>", xml)
    one, other = (system.replace("<system>", f"<system prefix='s{k}'>") for k in range(2))
    return xml.replace(system, one + other.replace("'kelvin'> 300 <", "'kelvin'> 320 <"))


CASES = {
    "1 bead": ({"beads": 1}, lambda xml: xml),
    "8 beads": ({"batch": 8}, lambda xml: xml),
    "8 beads, corrected on 2": ({}, contracted),
    "8 beads, corrected on 2, batches": ({"batch": 8}, contracted),
    "two of them": ({}, lambda xml: twice(contracted(xml))),
    "two of them, batches": ({"batch": 8}, lambda xml: twice(contracted(xml))),
}


def serve_blindly() -> None:
    """A driver that foresees nothing."""
    from halfkick.driver.cli import main
    from halfkick.driver.server import serve
    from halfkick.driver.server.scheduler import Scheduler

    serve.Scheduler = lambda foreseen, by_place: Scheduler(predict=False)
    main()


def measure(case: dict[str, int], edit, driver: list[str]) -> tuple[float, dict[str, int]]:
    """Seconds of the model for an outer step, and how predictions did."""
    import json

    import simulation
    from ase import Atoms

    atoms = Atoms("OH" * 4, [[2.0 * i, 0, 0] for i in range(8)], cell=[40.0] * 3)
    shared = {"beads": 8, "steps": STEPS, "structure": atoms, "model": "python:foresight:sleeping"}
    simulation.ENVIRONMENT["PYTHONPATH"] = f"{HELPERS}:{Path(__file__).parent}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = simulation.write(folder, simulation.Case("pile", **{**shared, **case}))
        path.write_text(edit(path.read_text()))
        ipi = simulation.start([*simulation.PROMPT_IPI, "input.xml"], folder, "i-pi.log")
        words = [*driver, "serve", "input.xml", "--report", "report.json"]
        serving = simulation.start(words, folder, "driver.log")
        if [ipi.wait(), serving.wait()] != [0, 0]:
            raise SystemExit((folder / "driver.log").read_text())
        report = json.loads((folder / "report.json").read_text())
    counts = report["evaluations"]
    seconds = DIRECT_S * counts["direct"] + CONSERVATIVE_S * counts["conservative"]
    return (seconds + BOTH_S * counts["both"]) / STEPS, report["predictions"]


def main() -> None:
    import simulation

    print(f"{'':34}foreseen, ms  not, ms  saved  predictions")
    for name in sys.argv[1:] or CASES:
        case, edit = CASES[name]
        foreseen, predictions = measure(case, edit, simulation.HALFKICK)
        blind, _ = measure(case, edit, [sys.executable, __file__])
        saved = f"{1 - foreseen / blind:6.1%}"
        row = f"{name:34}{1e3 * foreseen:12.0f} {1e3 * blind:8.0f} {saved}  {predictions}"
        print(row, flush=True)


if __name__ == "__main__":
    serve_blindly() if "serve" in sys.argv else main()
