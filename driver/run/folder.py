"""The files that a run leaves in its folder, beside i-PI's outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..server.guards import GUARD_FILE, UNCERTAIN_FILE

__all__ = ["RunFolder", "find_input"]


@dataclass(frozen=True)
class RunFolder:
    """A folder in which i-PI and a driver run on one input."""

    path: Path

    @property
    def input(self) -> Path:
        """The input, where nobody has given it another name."""
        xml, json = self.path / "input.xml", self.path / "input.json"
        return json if json.is_file() and not xml.is_file() else xml

    @property
    def restart(self) -> Path:
        """The state that i-PI leaves when it ends."""
        return self.path / "RESTART"

    @property
    def ipi_log(self) -> Path:
        """What i-PI says."""
        return self.path / "i-pi.log"

    @property
    def driver_log(self) -> Path:
        """What the driver says."""
        return self.path / "driver.log"

    @property
    def report(self) -> Path:
        """What the driver has evaluated, as JSON."""
        return self.path / "driver.json"

    @property
    def journal(self) -> Path:
        """How the driver gets on, as JSON lines; it touches it as a sign of life."""
        return self.path / "driver.jsonl"

    @property
    def stepper(self) -> Path:
        """Steps of a network, and how many were refused, as JSON."""
        return self.path / "stepper.json"

    @property
    def summary(self) -> Path:
        """What the run comes to, as JSON."""
        return self.path / "summary.json"

    @property
    def energy_plot(self) -> Path:
        """How energies and temperature went."""
        return self.path / "energy.png"

    @property
    def guard_frames(self) -> Path:
        """Structures at which the driver stopped the run."""
        return self.path / GUARD_FILE

    @property
    def uncertain_frames(self) -> Path:
        """Structures whose energy was less certain than it should be."""
        return self.path / UNCERTAIN_FILE

    @property
    def overwritten(self) -> list[Path]:
        """What a new run would overwrite; i-PI keeps its own earlier outputs itself."""
        return [
            self.restart,
            self.ipi_log,
            self.driver_log,
            self.report,
            self.journal,
            self.stepper,
            self.summary,
            self.energy_plot,
            self.guard_frames,
            self.uncertain_frames,
        ]


def find_input(path: Path) -> Path:
    """The input of a run that is named by its folder or by its input."""
    return RunFolder(path).input if path.is_dir() else path
