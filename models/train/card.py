"""The model card: what a training used, what it took and what came out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..files import write_atomically

__all__ = ["TrainCard"]


@dataclass
class TrainCard:
    """What a training used, took and gave; written beside the model as JSON and Markdown.

    Attributes:
        model: name of the exported model's file.
        options: the options of the training.
        command: the command line that was run.
        data: file, hash, frames of each part and those of them with a stress, atoms, labels,
            baseline.
        errors: root mean square errors on test frames: ``forces_conservative`` and
            ``forces_direct`` in meV/Å, ``all`` and by species; ``energy`` in meV/atom;
            ``stress_conservative`` and ``stress_direct`` in bar.
        gap: as in :mod:`halfkick.models.gap`, on fresh frames of the model's own dynamics, ``all``
            and by species: ``rmse`` and ``p999`` (99.9th percentile of components) in meV/Å.
        stages: name, epochs, seconds and seconds per epoch of each stage.
        versions: of the packages that took part.
        notes: what the user should know: halved batches, warnings about the data.
    """

    model: str
    options: dict[str, Any]
    command: str
    data: dict[str, Any]
    errors: dict[str, Any] = field(default_factory=dict)
    gap: dict[str, dict[str, float]] = field(default_factory=dict)
    stages: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> TrainCard:
        """Read the JSON of a card."""
        return cls(**json.loads(path.read_text()))

    def write(self, model: Path) -> None:
        """Write ``MODEL.card.json`` and ``MODEL.card.md`` beside the model."""
        text = json.dumps(asdict(self), indent=1) + "\n"
        write_atomically(model.with_suffix(".card.json"), text)
        write_atomically(model.with_suffix(".card.md"), self.to_markdown())

    def to_markdown(self) -> str:
        """Return the card as text."""
        data = self.data
        frames = ", ".join(f"{n} {part}" for part, n in data["frames"].items())
        atoms = ", ".join(f"{n} {symbol}" for symbol, n in data["atoms"].items())
        labels = ", ".join(f"{kind} `{name}`" for kind, name in data["labels"].items())
        lines = [
            f"# {self.model}", "",
            f"Made with `{self.command}`, seed {self.options['seed']}.", "",
            "## Data", "",
            f"`{data['file']}` (SHA-256 `{data['sha256'][:16]}…`): {frames} frames; {atoms} atoms; "
            f"labels {labels}{self.stress_share()}. Split by {data['split_by']}. "
            f"Baseline: {data['baseline']}.", "",
            "## Errors on test frames", "", *self.tables(),
            "## Training", "", *self.stage_table(), "",
            f"Recipe {self.options['recipe']}, size {self.options['size']}, on "
            f"{self.options['device']}. "
            + ", ".join(f"{name} {version}" for name, version in self.versions.items()) + ".", "",
        ]  # fmt: skip
        if self.notes:
            lines += ["## Notes", "", *(f"- {note}" for note in self.notes), ""]
        return "\n".join(lines)

    def stress_share(self) -> str:
        """How many frames have a stress, where any has one."""
        counts = self.data.get("stresses", {})
        if not any(counts.values()):
            return ""
        return (
            ", stress in "
            + ", ".join(f"{n} of {self.data['frames'][part]} {part}" for part, n in counts.items())
            + " frames"
        )

    def tables(self) -> list[str]:
        """Errors and gap, as text."""
        return [*self.error_table(), "", *self.gap_table()]

    def error_table(self) -> list[str]:
        """Root mean square errors as a table."""
        forces = {k: v for k, v in self.errors.items() if k.startswith("forces_")}
        rows = table({k.removeprefix("forces_"): v for k, v in forces.items()}, "force, meV/Å")
        if "energy" in self.errors:
            rows += ["", f"Energy {self.errors['energy']:.2f} meV/atom."]
        for name, value in self.errors.items():
            if name.startswith("stress_"):
                rows += ["", f"Stress, {name.removeprefix('stress_')}: {value:.0f} bar."]
        return rows

    def gap_table(self) -> list[str]:
        """The gap as a table, with its heading; nothing for a model of one kind of forces."""
        if not self.gap:
            return []
        kinds = {"RMSE": "rmse", "99.9th percentile": "p999"}
        rows = {name: {s: v[key] for s, v in self.gap.items()} for name, key in kinds.items()}
        heading = "## Gap between direct and conservative forces, fresh frames of its own dynamics"
        return [heading, "", *table(rows, "meV/Å"), ""]

    def stage_table(self) -> list[str]:
        """What each stage took."""
        rows = ["| stage | epochs | s | s per epoch | frames per step |", "|---|---|---|---|---|"]
        for stage in self.stages:
            rows.append(
                f"| {stage['name']} | {stage['epochs']:.1f} | {stage['seconds']:.0f} | "
                f"{stage['seconds_per_epoch']:.3g} | {stage['batch_size']} |"
            )
        return rows


def table(rows: Mapping[str, Mapping[str, float]], corner: str) -> list[str]:
    """Return a Markdown table of numbers."""
    columns = list(next(iter(rows.values())))
    lines = [f"| {corner} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, values in rows.items():
        lines.append(f"| {name} | " + " | ".join(f"{values[c]:.1f}" for c in columns) + " |")
    return lines
