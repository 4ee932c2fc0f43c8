"""Results of a benchmark: options, machine, times."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ....models.base import Role
from ....models.versions import installed_versions
from ...run.processes import Machine
from .inputs import MODES, Setup

__all__ = [
    "BATCH",
    "BOTH",
    "CONSECUTIVE",
    "CONSERVATIVE",
    "DIRECT",
    "BenchOptions",
    "BenchResults",
    "Statistics",
    "describe",
    "reference",
]

DIRECT, CONSERVATIVE = frozenset({Role.DIRECT}), frozenset({Role.CONSERVATIVE})
BOTH = DIRECT | CONSERVATIVE
BATCH = 32  # beads in a request to the driver alone
CONSECUTIVE = "halfkick, in a row"


@dataclass(frozen=True)
class BenchOptions:
    """What to time.

    Attributes:
        modes: of MODES.
        beads: numbers of beads; the first with all modes, the others with multiple time steps.
        atoms: numbers of atoms, ``None`` for the template's; the first with everything, the others
            with one bead and multiple time steps, halfkick and model alone.
        repeats: how often each is measured; half as often with more beads or atoms.
        seconds: about how long one measurement of a simulation may take.
        consecutive_steps: outer steps that halfkick does by itself then, to see whether any stalls.
    """

    modes: tuple[str, ...] = MODES
    beads: tuple[int, ...] = (1,)
    atoms: tuple[int, ...] | None = None
    repeats: int = 5
    seconds: float = 1.5
    consecutive_steps: int = 0


@dataclass(frozen=True)
class Statistics:
    """Median and quartiles of some times in ms, and how many they were."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Statistics:
        """Summarize values, of which there is at least one."""
        low, median, high = np.percentile(values, [25, 50, 75])
        return cls(float(median), float(low), float(high), len(values))


@dataclass
class BenchResults:
    """All times in ms by setup and name, and what they were measured with.

    Times of simulations are for an outer step, those of the model alone for a structure.

    Attributes:
        usage: CPU time for an outer step of the last measurement, and resident memory of what
            serves the forces, before and after, for each simulation.
    """

    options: BenchOptions
    stride: int
    machine: Mapping[str, str]
    times: dict[Setup, dict[str, list[float]]]
    usage: dict[str, dict[str, float]]

    def write(self, path: Path, ratios: Mapping[str, float]) -> None:
        """Write everything as JSON, with the ratios that were computed from the times."""
        groups = [{**asdict(setup), "ms": times} for setup, times in self.times.items()]
        path.write_text(
            json.dumps(
                {
                    "machine": self.machine,
                    "options": asdict(self.options),
                    "stride": self.stride,
                    "figures": ratios,
                    "usage": self.usage,
                    "times": groups,
                },
                indent=1,
            )
            + "\n"
        )


def reference(options: BenchOptions, n_atoms: int) -> Setup:
    """The simulation that is looked at most closely."""
    return Setup("mts", options.beads[0], (options.atoms or (n_atoms,))[0])


def describe(machine: Machine) -> dict[str, str]:
    """What it was measured with."""
    import torch

    return {
        "device": machine.device,
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "python": platform.python_version(),
        **installed_versions(("halfkick", "ipi", "torch", "metatomic-torch", "vesin")),
    }


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
