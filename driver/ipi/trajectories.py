"""i-PI's trajectories: their frames, and the step of each."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["labels_of_frame", "read_frames", "step_in", "step_of"]

STEP = re.compile(r"Step:\s*(\d+)")
QUANTITY = re.compile(r"(\w+)\{[^}]+\}")
HYDROGEN = ("D", "T", "Z")
"""Labels of i-PI's that are isotopes of hydrogen; Z has a mass between those of H and D."""
NO_ELEMENT = "X"
LABELS = "labels"


def read_frames(path: Path) -> list[Atoms]:
    """All frames of a trajectory, in ASE's units; one that is being written is left out.

    Labels that are no elements stand in an array ``labels``, and the atoms are of the element that
    they are isotopes of: ``D`` is H.
    """
    if path.suffix == ".extxyz":
        from ase.io import iread

        text = _whole_frames(path)
        return list(iread(io.StringIO(text), ":", format="extxyz")) if text else []
    from ipi.utils.io import read_file

    frames: list[Atoms] = []
    file = io.StringIO(_whole_frames(path))
    with redirect_stdout(io.StringIO()):  # it tells of unknown labels
        while True:
            try:
                frames.append(_frame(read_file("xyz", file)))
            except EOFError:
                return frames


def _whole_frames(path: Path) -> str:
    """The text of a file of kind xyz up to the end of its last whole frame."""
    lines = path.read_text().splitlines(keepends=True)
    end = 0
    while end < len(lines):
        if not lines[end].strip().isdigit():
            return "".join(lines)  # the reader says what is wrong
        after = end + 2 + int(lines[end])
        if after > len(lines) or not lines[after - 1].endswith("\n"):
            break
        end = after
    return "".join(lines[:end])


def labels_of_frame(frame: Atoms) -> list[str]:
    """What i-PI calls each atom."""
    labels = frame.arrays.get(LABELS)
    symbols: list[str] = frame.get_chemical_symbols()
    return symbols if labels is None else [str(label) for label in labels]


def step_in(comment: str) -> int | None:
    """The step that a frame's comment tells, if it does."""
    match = STEP.search(comment)
    return int(match[1]) if match else None


def step_of(frame: Atoms) -> int:
    """The step of a frame; 0 if it does not tell."""
    if "step" in frame.info:
        return int(frame.info["step"])
    return step_in(str(frame.info.get("ipi_comment", ""))) or 0


def _frame(read: dict[str, Any]) -> Atoms:
    """What i-PI has read of a frame: positions, or another quantity as an array of its name."""
    from ase import Atoms
    from ipi.engine.properties import Trajectories
    from ipi.utils.units import unit_to_user

    labels = [str(name) for name in read["atoms"].names]
    symbols = [_element(label) for label in labels]
    cell = read["cell"].h.T * unit_to_user("length", "ase", 1.0)
    frame = Atoms(symbols, cell=cell, pbc=True)
    if symbols != labels:
        frame.arrays[LABELS] = np.array(labels)
    if (step := step_in(read["comment"])) is not None:
        frame.info["step"] = step
    named = QUANTITY.findall(read["comment"])
    what = named[0] if len(named) == 2 else "positions"  # the other one is the cell
    values = np.array(read["atoms"].q).reshape(-1, 3)
    dimension = Trajectories().traj_dict.get(what, {}).get("dimension")
    if dimension is not None:
        values = values * unit_to_user(dimension, "ase", 1.0)
    if dimension == "length":
        frame.positions = values
    else:
        frame.arrays[what] = values
    return frame


def _element(label: str) -> str:
    """The symbol of the element of which a label of i-PI's is an isotope."""
    from ase.data import atomic_numbers

    symbol = label.rstrip("0123456789")
    if symbol in HYDROGEN:
        return "H"
    return symbol if symbol in atomic_numbers else NO_ELEMENT
