"""The state of a run that was started elsewhere: i-PI's last row and the driver's last line."""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from ..errors import InputError
from ..ipi.properties import read_first, read_last
from .folder import find_input
from .job import Job, describe
from .summary import describe_stepper, read_report
from .wording import temperatures, went

__all__ = ["watch"]

LOOK_INTERVAL_S = 1.0


def watch(folder: Path, console: Console, *, once: bool = False) -> None:
    """Show a table of the run in ``folder`` until it ends, or once.

    Raises:
        InputError: if there is no run.
    """
    job = describe(find_input(folder))
    journal = job.files.journal
    if not journal.exists():
        raise InputError(
            f"expected a run with a {journal.name} in '{job.folder}', got none; "
            f"start it with halfkick run, or give --journal {journal.name} to halfkick serve"
        )
    if once:
        console.print(_run_table(job, journal))
        return
    with Live(_run_table(job, journal), console=console, auto_refresh=False) as live:
        while not job.files.summary.exists():
            time.sleep(LOOK_INTERVAL_S)
            live.update(_run_table(job, journal), refresh=True)


def _run_table(job: Job, journal: Path) -> Table:
    table = Table(title=job.folder.name, show_header=False, title_justify="left")
    for name, value in _rows(job, _last_line(journal)):
        table.add_row(name, value)
    return table


def _last_line(path: Path) -> dict[str, Any]:
    """The last complete line of a file that grows; nothing if there is none."""
    with path.open("rb") as file:
        last = deque((line for line in file if line.endswith(b"\n")), maxlen=1)
    return json.loads(last[0]) if last else {}


def _rows(job: Job, line: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    last = [read_last(system.properties) for system in job.systems]
    steps = [row.step[-1] for row in last if row.step is not None]
    if steps:
        rows.append(("step", f"{min(steps):.0f} of {job.total_steps}"))
    if last[0].time is not None:
        rows.append(("time", f"{last[0].time[-1]:.4f} ps"))
    if (told := temperatures(last, job.systems)) is not None:
        rows.append(("temperature", told))
    first = [read_first(system.properties) for system in job.systems]
    if (told := went(first, last, job.systems)) is not None:
        rows.append(("conserved quantity", told))
    if stepper := read_report(job.files.stepper):
        rows.append(("network", describe_stepper(stepper)))
    if not line:
        return rows
    predictions = line["predictions"]
    rows += [
        ("speed", f"{line['ms_per_correction']:.1f} ms per correction"),
        ("waiting for the driver", f"{line['driver_share']:.0%} of the time"),
        ("evaluations", ", ".join(f"{n} {role}" for role, n in line["evaluations"].items())),
        ("predictions", ", ".join(f"{n} {kind}" for kind, n in predictions.items())),
        ("memory of the driver", f"{line['memory_MB']:.0f} MB"),
    ]
    for gap in line["gaps"]:
        values = ", ".join(f"{kind} {g:.1f}" for kind, g in gap["rmse_meV_per_A"].items())
        rows.append((f"{gap['fast']} - {gap['slow']}", f"gap {values} meV/Å"))
    return rows
