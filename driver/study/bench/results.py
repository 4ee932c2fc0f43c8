"""What is timed, with what, and the times."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ....models.base import Role
from ....models.versions import installed_versions
from .inputs import MODES, Setup
from .simulation import Machine

__all__ = [
    "BATCH",
    "BOTH",
    "CONSERVATIVE",
    "DIRECT",
    "IN_A_ROW",
    "Measured",
    "Options",
    "describe",
    "reference",
]

DIRECT, CONSERVATIVE = frozenset({Role.DIRECT}), frozenset({Role.CONSERVATIVE})
BOTH = DIRECT | CONSERVATIVE
BATCH = 32  # beads in a request to the driver alone
IN_A_ROW = "halfkick, in a row"


@dataclass(frozen=True)
class Options:
    """What to time.

    Attributes:
        modes: of MODES.
        beads: numbers of beads; the first with all modes, the others with multiple time steps.
        atoms: numbers of atoms, ``None`` for the template's; the first with everything, the others
            with one bead and multiple time steps, halfkick and model alone.
        repeats: how often each is measured; half as often with more beads or atoms.
        seconds: about how long one measurement of a simulation may take.
        in_a_row: outer steps that halfkick does by itself then, to see whether any stalls.
    """

    modes: tuple[str, ...] = MODES
    beads: tuple[int, ...] = (1,)
    atoms: tuple[int, ...] | None = None
    repeats: int = 5
    seconds: float = 1.5
    in_a_row: int = 0


@dataclass
class Measured:
    """All times in ms by setup and name, and what they were measured with.

    Times of simulations are for an outer step, those of the model alone for a structure.

    Attributes:
        usage: CPU time for an outer step of the last measurement, and resident memory of what
            serves the forces, before and after, for each simulation.
    """

    options: Options
    stride: int
    machine: Mapping[str, str]
    times: dict[Setup, dict[str, list[float]]]
    usage: dict[str, dict[str, float]]

    def write(self, path: Path, figures: Mapping[str, float]) -> None:
        """Write everything as JSON."""
        groups = [{**asdict(setup), "ms": times} for setup, times in self.times.items()]
        path.write_text(
            json.dumps(
                {
                    "machine": self.machine,
                    "options": asdict(self.options),
                    "stride": self.stride,
                    "figures": figures,
                    "usage": self.usage,
                    "times": groups,
                },
                indent=1,
            )
            + "\n"
        )


def reference(options: Options, n_atoms: int) -> Setup:
    """The simulation that is looked at most closely."""
    return Setup("mts", options.beads[0], (options.atoms or (n_atoms,))[0])


def describe(machine: Machine) -> dict[str, str]:
    """What it was measured with."""
    import torch

    packages = ("halfkick", "ipi", "torch", "metatomic-torch", "vesin")
    return {
        "device": machine.device,
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "python": platform.python_version(),
        **installed_versions(packages),
    }


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
