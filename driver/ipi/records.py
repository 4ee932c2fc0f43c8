"""The rows and frames of i-PI's output files: the step of each, and where it ends."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .properties import Column
from .trajectories import step_in

__all__ = ["EXCHANGES", "Clock", "Unreadable", "read_records"]

EXCHANGES = "exchanges"
"""The kind of the file in which replica exchange notes who is where."""

Records = Iterator[tuple[int, int]]
"""Step and end of each complete record; step -1 for a comment."""


class Unreadable(Exception):
    """A whole row or frame does not tell its step."""


EXTRAS = re.compile(rb"\s*#EXTRAS")
PRINTABLE = re.compile(rb"(?:[\x20-\x7e]\x00\x00\x00)+")  # in UTF-32, little-endian
LONGEST_TITLE = 4096  # bytes
NEARLY_WHOLE = 0.01  # of a step, to which times are rounded


@dataclass(frozen=True)
class Clock:
    """What tells the step of a row without a ``step`` column.

    Attributes:
        stride: steps from one row to the next; ``None`` if that is not known.
        timestep_fs: the outer step; ``None`` if there is no time.
    """

    stride: int | None = None
    timestep_fs: float | None = None


def read_records(file: BinaryIO, kind: str, clock: Clock) -> Records:
    """The records of a file, read as they are asked for; one that was cut short is left out.

    Args:
        file: open, its name that of an output of i-PI.
        kind: of the output.
        clock: for rows without a step.

    Raises:
        Unreadable: if the file does not tell the steps, also later, when that is seen.
    """
    if kind == EXCHANGES:  # i-PI counts the steps before the one in which it exchanges
        return ((step + 1, end) for step, end in _rows(file, 0))
    suffix = Path(file.name).suffix
    if suffix in FRAMES:
        return FRAMES[suffix](file)
    line = file.readline()
    file.seek(0)
    if not line:
        return iter(())
    is_extras = EXTRAS.match(line)
    return _extras(file) if is_extras else _properties(file, clock)


def _properties(file: BinaryIO, clock: Clock) -> Records:
    """Rows by their ``step``, by ``time``, or counted: a file has a header from step 0 on alone."""
    columns = {}
    for line in iter(file.readline, b""):
        if not line.startswith(b"#"):
            break
        if column := Column.read(line):
            columns[column.name] = column
    file.seek(0)
    if (step := columns.get("step")) is not None:
        return _rows(file, step.first)
    if (time := columns.get("time")) is not None and clock.timestep_fs:
        return _rows(file, time.first, time.factor * 1e3 / clock.timestep_fs)
    if columns and clock.stride:
        return _counted(file, clock.stride)
    raise Unreadable


def _rows(file: BinaryIO, column: int, factor: float = 1.0) -> Records:
    """Lines; the step is ``factor`` times the number in a column."""
    for line in _lines(file):
        if line.startswith(b"#"):
            yield -1, file.tell()
            continue
        number = factor * float(line.split()[column])
        if abs(number - round(number)) > NEARLY_WHOLE:  # of another time step
            raise Unreadable
        yield round(number), file.tell()


def _counted(file: BinaryIO, stride: int) -> Records:
    """Lines, the first of step 0."""
    count = 0
    for line in _lines(file):
        is_comment = line.startswith(b"#")
        yield (-1 if is_comment else count * stride), file.tell()
        count += not is_comment


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Complete lines; what the position in the file is stays known."""
    for line in iter(file.readline, b""):
        if not line.endswith(b"\n"):
            return
        yield line


def _step(text: str | bytes) -> int:
    step = step_in(text.decode(errors="replace") if isinstance(text, bytes) else text)
    if step is None:
        raise Unreadable
    return step


def _xyz(file: BinaryIO) -> Records:
    for first in _lines(file):
        if not first.strip().isdigit():
            raise Unreadable
        lines = [file.readline() for _ in range(1 + int(first))]
        if not lines[-1].endswith(b"\n"):
            return
        yield _step(lines[0]), file.tell()


def _pdb(file: BinaryIO) -> Records:
    title = b""
    for line in _lines(file):
        if line.startswith(b"TITLE"):
            title = line
        elif line == b"END\n":
            yield _step(title), file.tell()


def _json(file: BinaryIO) -> Records:
    for line in _lines(file):
        yield _step(line), file.tell()


def _binary(file: BinaryIO) -> Records:
    """Nine numbers of the cell, N, 3N numbers, the length of the names, names and title in UTF-32.

    i-PI does not write how long the title is: it ends with the unit of the cell, ``cell{…}``.
    """
    while len(head := file.read(80)) == 80:
        file.seek(24 * _whole_number(head[72:]), 1)
        file.seek(4 * _whole_number(file.read(8)), 1)
        begin = file.tell()
        match = PRINTABLE.match(file.read(LONGEST_TITLE))
        title = match[0].decode("utf-32-le").rpartition("}")[0] if match else ""
        if "cell{" not in title:  # cut short
            return
        file.seek(begin + 4 * (len(title) + 1))
        yield _step(title), file.tell()


def _whole_number(data: bytes) -> int:
    return int.from_bytes(data, sys.byteorder)


def _extras(file: BinaryIO) -> Records:
    """Any lines that follow one with the step."""
    step, end = None, 0
    for line in _lines(file):
        if EXTRAS.match(line):
            if step is not None:
                yield step, end
            step = _step(line)
        end = file.tell()
    if step is not None:
        yield step, end


FRAMES = {".xyz": _xyz, ".extxyz": _xyz, ".pdb": _pdb, ".json": _json, ".bin": _binary}
"""Trajectories by the suffix of their files."""
