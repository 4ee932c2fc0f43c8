"""How i-PI ended by its own words, and what a run that it ended by itself has found."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ipi.properties import read_properties
from .job import Job

__all__ = ["Ending", "describe_found", "find"]

SOFT_EXIT = re.compile(
    r"Soft exit has been requested with message: '(?P<message>.*?)\s*"
    r"(?P<verdict>I-PI reports success|I-PI reports a problem|Restartable as is: YES)",
    re.DOTALL,
)
CALLED = re.compile(r"@softexit\.trigger: +SOFTEXIT CALLED FROM THREAD <[^>]*> *(?P<message>.*)")
"""All that it says where its verbosity is ``quiet``."""

ON_THE_WAY = re.compile(r"^(@ ?SIMULATION|@ ?SOFTEXIT|@ ?FORCES|@ ?PROPERTIES|@FIRE|Client shut)")
"""Messages of an end that does not come from what moves the atoms."""

PER_CM = 219474.6313632  # of a frequency in atomic units
SAME_ENERGY = 1e-6  # relative


@dataclass(frozen=True)
class Ending:
    """What i-PI said when it ended.

    Attributes:
        message: why it did; empty if it said nothing.
        is_success: whether it says so.
        is_problem: whether it says so.
    """

    message: str = ""
    is_success: bool = False
    is_problem: bool = False

    @classmethod
    def read(cls, said: str) -> Ending:
        """Find it in the end of i-PI's log."""
        if match := SOFT_EXIT.search(said):
            verdict = match["verdict"]
            return cls(_one_line(match["message"]), "success" in verdict, "problem" in verdict)
        if match := CALLED.search(said):
            return cls(_one_line(match["message"]), is_success=True)
        return cls()

    @property
    def is_of_motion(self) -> bool:
        """Whether the run came to its end before the steps did: an optimisation converged."""
        return bool(self.message) and self.is_success and not ON_THE_WAY.match(self.message)


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def find(job: Job, ending: Ending) -> dict[str, Any]:
    """What a run has found that i-PI ended by itself, as JSON.

    ``message``; of a minimisation ``energy_eV`` and ``max_force_eV_per_A``; of vibrations
    ``frequencies_per_cm``, imaginary ones negative.
    """
    found: dict[str, Any] = {"message": ending.message}
    modes = {motion.mode for system in job.source.systems for motion in system.motions}
    if modes == {"minimize"}:
        found |= _of_minimum(job)
    if (path := job.source.eigenvalues) is not None and path.is_file():
        squares = np.atleast_1d(np.loadtxt(path))
        frequencies = np.sign(squares) * np.sqrt(np.abs(squares)) * PER_CM
        found["frequencies_per_cm"] = [round(float(f), 3) for f in frequencies]
    return found


def _of_minimum(job: Job) -> dict[str, float]:
    """The energy of the last row; the largest force if the driver gave it with that energy."""
    rows = read_properties(job.systems[0].properties)
    energy = None if rows.potential is None or not len(rows) else float(rows.potential[-1])
    try:
        last = json.loads(job.files.report.read_text()).get("last") or {}
    except (OSError, ValueError):
        last = {}
    known = last.get("energy_eV")
    if energy is None:
        return dict(last)
    if known is None or abs(known - energy) > SAME_ENERGY * max(1.0, abs(energy)):
        return {"energy_eV": energy}
    return {**last, "energy_eV": energy}


def describe_found(found: Mapping[str, Any]) -> str:
    """It in words."""
    lines = [f"i-PI: {found['message']}"]
    if "energy_eV" in found:
        line = f"energy: {found['energy_eV']:.6f} eV"
        if "max_force_eV_per_A" in found:
            line += f", largest force: {found['max_force_eV_per_A']:.2g} eV/Å"
        lines.append(line)
    if frequencies := found.get("frequencies_per_cm"):
        told = ", ".join(f"{round(f, 1) + 0.0:.1f}" for f in frequencies)  # not -0.0
        lines.append(f"frequencies, imaginary ones negative: {told} cm⁻¹")
    return "\n".join(lines)
