"""Runs the process that trains, shows how far it is, and starts it again if memory ran out."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["run_worker"]

POLL_INTERVAL_S = 0.1
FAILED, OUT_OF_MEMORY = 2, 3  # exit codes of the process
GAP_FILE = "fresh.xyz"  # self-generated frames, on which the card's gap is measured
MEMORY_CODES = (OUT_OF_MEMORY, -signal.SIGKILL)  # torch's allocator; the kernel


def run_worker(folder: Path, console: Console | None) -> list[str]:
    """Run the training of ``folder`` to its end; return notes for the card.

    Raises:
        ModelError: if it fails.
    """
    notes: list[str] = []
    with progress_bar(console) as progress:
        while (code := run_once(folder, progress)) != 0:
            if code not in MEMORY_CODES:
                raise failure(folder, code)
            note = halve_batch(folder)
            notes.append(note)
            progress.console.print(note)
    return notes


@contextmanager
def progress_bar(console: Console | None) -> Iterator[Progress]:
    """A progress bar with the time left; silent without a console."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:14}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %, left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[errors]}"),
    )
    console = Console(quiet=True) if console is None else console
    with Progress(*columns, console=console, speed_estimate_period=300) as progress:
        progress.add_task("starting", total=1.0, errors="")
        yield progress


def run_once(folder: Path, progress: Progress) -> int:
    """Start the process, show its progress until it ends, return its exit code."""
    command = [sys.executable, "-m", "halfkick.models.train.worker", str(folder)]
    with (folder / "worker.log").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while process.poll() is None:
            time.sleep(POLL_INTERVAL_S)
            show_progress(folder, progress)
        show_progress(folder, progress)
    finally:
        if process.poll() is None:  # interrupted
            process.terminate()
            process.wait()
    return process.returncode


def show_progress(folder: Path, progress: Progress) -> None:
    """Bring the bar up to date."""
    path = folder / "progress.json"
    if path.exists():
        state: dict[str, Any] = json.loads(path.read_text())
        progress.update(
            progress.task_ids[0], description=state["stage"], completed=state["done"],
            errors=state["errors"],
        )  # fmt: skip


def halve_batch(folder: Path) -> str:
    """Halve the batch; return what to say about it, or raise ModelError if it is a single frame."""
    path = folder / "batch_size.json"
    size = json.loads(path.read_text())
    if size == 1:
        raise ModelError(
            "expected enough memory for one frame at a time, got none left; "
            "use a smaller --size or --cutoff, or smaller frames"
        )
    path.write_text(json.dumps(size // 2))
    return f"out of memory with {size} frames per step: going on with {size // 2}"


def failure(folder: Path, code: int) -> ModelError:
    """Return the error to raise for an exit code."""
    lines = (folder / "worker.log").read_text().strip().splitlines()
    last = lines[-1] if lines else "nothing in its log"
    if code == FAILED:
        return ModelError(last)
    return ModelError(
        f"expected the training to end well, got exit code {code} ({last}); "
        f"see {folder / 'worker.log'}, then run the same command again to go on"
    )
