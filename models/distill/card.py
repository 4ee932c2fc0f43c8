"""The card of a student: its teacher, what it was trained on, and the gap between them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..versions import installed_versions
from .options import DistillOptions
from .record import Record, write_atomically
from .store import Store, state_of

__all__ = ["DistillCard"]

PACKAGES = ("halfkick", "torch", "metatomic-torch", "metatrain", "ase", "numpy", "vesin")


@dataclass
class DistillCard:
    """What a distillation used, took and gave; written beside the student as JSON and Markdown.

    Attributes:
        teacher: the model that was distilled.
        role: the forces the student serves.
        surrogate: what sampled before there was a student, if not the teacher.
        structures: files it began from.
        temperatures_K, strain, beads: of the dynamics; beads of each ring polymer.
        stride, timestep_fs: of the multiple time stepping that showed the gap.
        charges, spins: total charges (e) and multiplicities that the student was trained for.
        labels: structures the teacher has labelled (``all``), and those in the training set of
            the student (``taught``).
        gap: teacher minus student on fresh frames, ``rmse`` and ``p999`` (99.9th percentile of
            the components) in meV/Å, for ``all`` and each species.
        gap_frames: how many fresh frames.
        rounds: what each did and took.
        minutes: of wall time in all.
        command: the command line.
        versions: of the packages that took part.
    """

    teacher: str
    role: str
    surrogate: str | None
    structures: list[str]
    temperatures_K: list[float]
    strain: float
    beads: int
    stride: int
    timestep_fs: float
    charges: list[float]
    spins: list[int]
    labels: dict[str, int]
    gap: dict[str, dict[str, float]]
    gap_frames: int
    rounds: list[dict[str, Any]]
    minutes: float
    command: str
    versions: dict[str, str]

    @classmethod
    def of(
        cls,
        record: Record,
        labels: Store,
        options: DistillOptions,
        best: int,
        teacher: str,
        surrogate: str | None,
        structures: Sequence[Path],
    ) -> DistillCard:
        """Sum up; the gap is the one measured in the round after the student's training."""
        measured = record.rounds[best + 1]
        return cls(
            teacher=teacher,
            role=options.role.value,
            surrogate=surrogate,
            structures=[str(path) for path in structures],
            temperatures_K=list(options.temperatures_K),
            strain=options.strain,
            beads=options.beads,
            stride=options.stride,
            timestep_fs=options.timestep_fs,
            charges=sorted({state_of(atoms)[0] for atoms in labels.frames}),
            spins=sorted({state_of(atoms)[1] for atoms in labels.frames}),
            labels={"all": len(labels.frames), "taught": record.rounds[best]["taught"]},
            gap=measured["gap"],
            gap_frames=measured["sampled"],
            rounds=record.rounds,
            minutes=round(record.seconds / 60.0, 1),
            command=" ".join(sys.argv),
            versions=installed_versions(PACKAGES),
        )

    def write(self, model: Path) -> None:
        """Write both forms beside the model."""
        text = json.dumps(asdict(self), indent=1) + "\n"
        write_atomically(model.with_suffix(".card.json"), text)
        write_atomically(model.with_suffix(".card.md"), self.markdown(model.name))

    def markdown(self, name: str) -> str:
        """The card for people."""
        gaps = [f"| {who} | {g['rmse']:.1f} | {g['p999']:.0f} |" for who, g in self.gap.items()]
        rounds = [
            f"| {i} | {r.get('sampled', '')} | {r.get('gap', {}).get('all', {}).get('rmse', '')} "
            f"| {r.get('taught', '')} | {r.get('sampling_s', '')} | {r.get('trained', '')} |"
            for i, r in enumerate(self.rounds)
        ]
        temperatures = ", ".join(f"{t:g}" for t in self.temperatures_K)
        return "\n".join(
            [
                f"# {name}: a student of {self.teacher}",
                "",
                f"{self.role.capitalize()} forces, for the inside of multiple time stepping with "
                f"the teacher outside. Sampled from {', '.join(self.structures)} at {temperatures} "
                f"K, strains up to {self.strain:g}, {self.beads} bead(s)"
                + (f", at first with {self.surrogate}" if self.surrogate else "")
                + f". {self.labels['all']} labels, {self.labels['taught']} of them taught, "
                f"{self.minutes:g} minutes.",
                "",
                f"Gap, teacher minus student, on {self.gap_frames} fresh frames of dynamics by the "
                f"student, corrected every {self.stride} steps of {self.timestep_fs:g} fs:",
                "",
                "| atoms | RMSE, meV/Å | 99.9th percentile, meV/Å |",
                "|---|---|---|",
                *gaps,
                "",
                "| round | fresh frames | gap of the student before, meV/Å | taught | sampling, s "
                "| training, s |",
                "|---|---|---|---|---|---|",
                *rounds,
                "",
                f"`{self.command}`",
                "",
                ", ".join(f"{k} {v}" for k, v in self.versions.items()),
                "",
            ]
        )
