"""What a run wrote, row by row, and how far two runs are apart."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np


def rows(folder: Path) -> list[str]:
    """The complete rows of the properties."""
    path = folder / "simulation.out"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [line for line in lines if not line.startswith("#")]


def steps_written(folder: Path) -> list[int]:
    return [round(float(row.split()[0])) for row in rows(folder)]


def deviations(disturbed: Path, whole: Path, steps: int, exact: int) -> dict[str, float]:
    """The largest difference, relative to the largest value of a column, by output.

    Raises:
        RuntimeError: if there is not one row for each step, if frames are missing or twice there,
            or if rows up to step ``exact`` differ in any digit.
    """
    if steps_written(disturbed) != list(range(steps + 1)):
        raise RuntimeError("expected each step once in simulation.out")
    if rows(disturbed)[: exact + 1] != rows(whole)[: exact + 1]:
        raise RuntimeError(f"expected no difference up to step {exact}")
    tables = [np.array([row.split() for row in rows(f)], float) for f in (disturbed, whole)]
    largest = {"properties": difference(*tables), "positions": 0.0}
    for path in sorted(whole.glob("simulation.pos_*")):
        ours, theirs = ((f / path.name).read_text().split("\n") for f in (disturbed, whole))
        if len(ours) != len(theirs):
            raise RuntimeError(f"expected each frame once in {path.name}")
        numbers = [[v for line in lines for v in read_numbers(line)] for lines in (ours, theirs)]
        found = difference(*(np.array(values).reshape(-1, 1) for values in numbers))
        largest["positions"] = max(largest["positions"], found)
    return largest


def read_numbers(line: str) -> list[float]:
    """Positions in a line of an extended xyz; of its comment the step."""
    words = line.split()
    if len(words) == 4 and words[0].isalpha():
        return [float(word) for word in words[1:]]
    return [float(step) for step in re.findall(r"Step: +(\d+)", line)]


def difference(one: np.ndarray, two: np.ndarray) -> float:
    return float((np.abs(one - two).max(axis=0) / np.abs(two).max(axis=0)).max())
