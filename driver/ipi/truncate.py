"""Cuts i-PI's output files back to the step a restart continues from."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .properties import Column
from .trajectories import step_in

__all__ = ["last_step", "truncate"]

log = logging.getLogger(__name__)


def truncate(path: Path, step: int) -> None:
    """Drop what ``path`` holds of the steps after ``step``, and a last row or frame cut short.

    Properties need a ``step`` column; of trajectories xyz and extxyz are understood. Other files
    are left as they are, with a warning.
    """
    with path.open("rb") as file:
        records = _records(file)
        if records is None:
            log.warning("cannot tell the steps in %s: rows after step %d stay", path.name, step)
            return
        end = 0
        for number, position in records:
            if number > step:
                break
            end = position
    if end < path.stat().st_size:
        os.truncate(path, end)
        log.info("cut %s back to step %d", path.name, step)


def last_step(path: Path) -> int | None:
    """The step of the last complete row or frame, -1 without any; ``None`` if it does not tell."""
    with path.open("rb") as file:
        records = _records(file)
        return None if records is None else max((number for number, _ in records), default=-1)


def _records(file: BinaryIO) -> Iterator[tuple[int, int]] | None:
    if Path(file.name).suffix in (".xyz", ".extxyz"):
        return _frames(file)
    column = _step_column(file)
    return None if column is None else _rows(file, column)


def _step_column(file: BinaryIO) -> int | None:
    file.seek(0)
    for line in file:
        if not line.startswith(b"#"):
            return None
        column = Column.read(line)
        if column is not None and column.name == "step":
            return column.first
    return None


def _rows(file: BinaryIO, column: int) -> Iterator[tuple[int, int]]:
    """Step and end of each complete line; comments count as step -1."""
    file.seek(0)
    for line in iter(file.readline, b""):
        if line.endswith(b"\n"):
            yield (-1 if line.startswith(b"#") else round(float(line.split()[column]))), file.tell()


def _frames(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Step and end of each complete frame."""
    while (first := file.readline().strip()).isdigit():
        step = step_in(file.readline().decode(errors="replace"))
        last = b""
        for _ in range(int(first)):
            last = file.readline()
        if step is None or not last.endswith(b"\n"):
            return
        yield step, file.tell()
