"""The model card: what a training used, what it took and what came out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Card"]


@dataclass
class Card:
    """What a training used, took and gave; written beside the model as JSON and Markdown.

    Attributes:
        model: name of the exported model's file.
        options: the options of the training.
        command: the command line that was run.
        data: file, frames of each part, atoms, species, label keys, hash.
        errors: root mean square errors on held-out frames: ``forces`` and ``direct`` in meV/Å,
            ``all`` and by species; ``energy`` in meV/atom; stresses in bar.
        gap: direct minus conservative forces on fresh frames of the model's own dynamics, by
            species: ``rmse`` and ``p999`` (99.9th percentile of components) in meV/Å.
        stages: name, epochs, seconds and seconds per epoch of each stage.
        versions: of the packages that took part.
        notes: what the user should know: halved batches, warnings about the data.
    """

    model: str
    options: dict[str, Any]
    command: str
    data: dict[str, Any]
    errors: dict[str, Any] = field(default_factory=dict)
    gap: dict[str, Any] = field(default_factory=dict)
    stages: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Card:
        """Read the JSON of a card."""
        return cls(**json.loads(path.read_text()))

    def to_json(self) -> str:
        """Return the card as JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"
