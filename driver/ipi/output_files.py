"""i-PI's output files as they lie in a folder: their names, and how far they reach."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .outputs import Output, Outputs
from .records import EXCHANGES, Clock
from .truncate import last_step, truncate

__all__ = ["OutputFiles", "Reach", "lacking"]

SUFFIXES = ("xyz", "extxyz", "pdb", "json", "bin")
ENDINGS = {
    "properties": "",
    "trajectory": rf"(?:_(\d+))?(?:\.(?:{'|'.join(SUFFIXES)}))?",  # bead and format
    "checkpoint": r"(?:_(\d+))?",  # number, of those that are not overwritten
    EXCHANGES: "",
}
"""What may follow the name of an output, by kind."""


@dataclass(frozen=True)
class Reach:
    """The last step in a file that has every ``stride``-th; ``None`` if it does not tell."""

    last: int | None
    stride: int


@dataclass(frozen=True)
class OutputFiles:
    """The files of an input's outputs.

    Attributes:
        outputs: what the input asks for.
        folder: where i-PI runs.
        systems: prefix of each system; empty where there is one.
        exchanges: name of the file in which replica exchange notes who is where, if it does.
        timestep_fs: the outer step; ``None`` if there is no time.
    """

    outputs: Outputs
    folder: Path
    systems: Sequence[str] = ("",)
    exchanges: str = ""
    timestep_fs: float | None = None

    def name(self, item: Output, system: str) -> str:
        """What i-PI calls a file of a system, without bead and format."""
        name = ".".join(part for part in (self.outputs.prefix, item.filename) if part)
        of_system = item.kind in ("properties", "trajectory")
        return f"{system}_{name}" if system and of_system else name

    def of(self, item: Output, system: str) -> list[Path]:
        """The files on disk of one output and system, bead by bead."""
        pattern = re.compile(re.escape(self.name(item, system)) + ENDINGS[item.kind])
        found = [(m, p) for p in self.folder.iterdir() if (m := pattern.fullmatch(p.name))]
        found.sort(key=lambda pair: int((pair[0].lastindex and pair[0][1]) or -1))
        return [path for _, path in found]

    def on_disk(self, *kinds: str) -> list[Path]:
        """The files on disk of all systems and beads: of these kinds of output, or of all."""
        return sorted({path for path, _ in self._all(*kinds)})

    def reach(self) -> dict[Path, Reach]:
        """How far each file of properties and of a trajectory reaches."""
        files = self._all("properties", "trajectory")
        return {
            path: Reach(last_step(path, item.kind, self._clock(item)), item.stride)
            for path, item in files
        }

    def truncate(self, step: int) -> list[Path]:
        """Cut all files back to a step; those that do not tell their steps stay, and are named."""
        files = dict(self._all("properties", "trajectory", EXCHANGES))
        return [
            path
            for path, item in files.items()
            if not truncate(path, step, item.kind, self._clock(item))
        ]

    def others(self, since: Path) -> list[Path]:
        """What else begins with the name of an output and was written after a file was."""
        known, after = set(self.on_disk()), since.stat().st_mtime_ns
        begins = tuple(f"{system}_{self.outputs.prefix}." for system in self.systems if system)
        begins = (f"{self.outputs.prefix}.", *begins) if self.outputs.prefix else ()
        return sorted(
            path
            for path in self.folder.iterdir()
            if path.name.startswith(begins)
            and path not in known
            and path.is_file()
            and path.stat().st_mtime_ns > after
        )

    def _clock(self, item: Output) -> Clock:
        return Clock(item.stride, self.timestep_fs)

    def properties_of(self, system: str) -> Path | None:
        """The file of a system that tells most of how the run goes, be it there or not."""
        items = self.outputs.of_kind("properties")
        best = max(items, key=lambda item: "conserved" in item.quantities, default=None)
        return None if best is None else self.folder / self.name(best, system)

    def trajectories(self, quantity: str, system: str) -> list[list[Path]]:
        """For each trajectory of a quantity of a system, the files of its beads."""
        items = self.outputs.of_kind("trajectory")
        return [self.of(item, system) for item in items if quantity in item.quantities]

    def _all(self, *kinds: str) -> Iterator[tuple[Path, Output]]:
        items = self.outputs.of_kind(*kinds)
        if self.exchanges and (not kinds or EXCHANGES in kinds):
            items = [*items, Output(EXCHANGES, self.exchanges)]
        for item in items:
            for system in dict.fromkeys(self.systems):
                for path in self.of(item, system):
                    yield path, item


def lacking(reach: Mapping[Path, Reach], step: int) -> list[str]:
    """Names of the files that do not reach ``step``."""
    return [
        path.name
        for path, file in reach.items()
        if file.last is not None and file.last < step - step % file.stride
    ]
