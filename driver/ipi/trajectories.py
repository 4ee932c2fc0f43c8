"""i-PI's trajectories: their frames, and the step of each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["read_frames", "step_in", "step_of"]

STEP = re.compile(r"Step:\s*(\d+)")


def read_frames(path: Path) -> list[Atoms]:
    """All frames of a trajectory, as ASE has them."""
    from ipi.scripting.parsing import read_trajectory

    frames: list[Atoms] = read_trajectory(str(path))
    return frames


def step_in(comment: str) -> int | None:
    """The step that a frame's comment tells, if it does."""
    match = STEP.search(comment)
    return int(match[1]) if match else None


def step_of(frame: Atoms) -> int:
    """The step of a frame; 0 if it does not tell."""
    if "step" in frame.info:
        return int(frame.info["step"])
    return step_in(str(frame.info.get("ipi_comment", ""))) or 0
