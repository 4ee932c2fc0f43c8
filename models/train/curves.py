"""Draws errors against the time that trainings took, from the folders they kept (``--work``).

::

    python -m halfkick.models.train.curves hybrid conservative --out curves.png

A folder with what ``mtt train`` left (its ``outputs``) will do as well.
"""

from __future__ import annotations

import argparse
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from ..plotting import new_figure

__all__ = ["draw", "read_history", "time_to_reach"]

PANELS = {"forces": "conservative forces", "direct": "direct forces"}
START_LINE = re.compile(r"\[(?P<time>[-:\d ]+)\]\[INFO\] - Starting training$")
EPOCH_LINE = re.compile(
    r"\[(?P<time>[-:\d ]+)\]\[INFO\] - Epoch: .* validation forces RMSE: *(?P<rmse>[\d.]+) meV/A"
)
"""Lines of metatrain's log."""


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return the reports of a training, ``time_s`` (CPU time) counted through all stages.

    Of metatrain's own training, with one thread, the time is that of the clock.
    """
    if logs := sorted(folder.rglob("train.log")):
        return read_log(logs[-1])
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    before = 0.0
    for last, line in zip([None, *history[:-1]], history, strict=True):
        if last is not None and last["stage"] != line["stage"]:
            before += last["cpu_seconds"]
        line["time_s"] = before + line["cpu_seconds"]
    return history


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the epochs of a log of ``mtt train``."""
    history, begin = [], None
    for line in path.read_text().splitlines():
        if match := START_LINE.match(line) or EPOCH_LINE.match(line):
            now = datetime.fromisoformat(match["time"])
            begin = begin or now
            if match.re is EPOCH_LINE:
                errors = {"forces": float(match["rmse"])}
                history.append({"time_s": (now - begin).total_seconds(), "errors": errors})
    return history


def time_to_reach(history: list[dict[str, Any]], key: str, error: float) -> float | None:
    """Return when an error first was at most ``error`` (meV/Å), in s of CPU time, if ever."""
    return next((h["time_s"] for h in history if h["errors"].get(key, error + 1) <= error), None)


def draw(folders: list[Path], path: Path) -> None:
    """Draw validation errors of both forces against CPU time."""
    figure = new_figure(8.4, 3.6)
    for axis, (key, title) in zip(figure.subplots(1, 2, sharey=True), PANELS.items(), strict=True):
        for folder in folders:
            points = [(h["time_s"], h["errors"][key]) for h in read_history(folder)
                      if key in h["errors"]]  # fmt: skip
            if points:
                axis.semilogy(*zip(*points, strict=True), ".-", ms=3, lw=1, label=folder.name)
        axis.set(title=title, xlabel="CPU time, s")
        axis.grid(which="both", lw=0.3)
        if axis.lines:
            axis.legend()
    figure.axes[0].set_ylabel("validation RMSE, meV/Å")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Read the command line; draw, and print when each training was as good as the others end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("curves.png"))
    options = parser.parse_args()
    draw(options.folders, options.out)
    histories = {f.name: read_history(f) for f in options.folders}
    for name, history in histories.items():
        for key, title in PANELS.items():
            end = history[-1]["errors"].get(key)
            if end is None:
                continue
            times = {n: time_to_reach(h, key, end) for n, h in histories.items()}
            reached = ", ".join(
                f"{n} {'never' if t is None else f'after {t:.0f} s'}" for n, t in times.items()
            )
            print(f"{title}: {name} ends at {end:.0f} meV/Å; reached by {reached}")


if __name__ == "__main__":
    main()
