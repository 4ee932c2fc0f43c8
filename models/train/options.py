"""Options of a training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError

__all__ = ["RECIPES", "SIZES", "TrainOptions"]

RECIPES = {
    "hybrid": "direct forces first, then conservative and direct ones together, then alignment",
    "conservative": "conservative and direct forces together from the start",
    "direct": "direct forces only; the model has no energy",
    "alignment": "the last stage of hybrid alone, on a trained model",
}

SIZES: dict[str, dict[str, Any]] = {
    "xs": {"d_pet": 32, "d_head": 32, "d_node": 64, "d_feedforward": 64, "num_heads": 4},
    "s": {"d_pet": 64, "d_head": 64, "d_node": 128, "d_feedforward": 128, "num_heads": 4},
    "m": {"d_pet": 128, "d_head": 128, "d_node": 256, "d_feedforward": 256, "num_heads": 8},
}
"""Widths of PET; all have two message-passing layers."""

ATTENTION_LAYERS = {"xs": 1, "s": 1, "m": 2}


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    Attributes:
        recipe: one of ``RECIPES``.
        size: one of ``SIZES``; with ``start`` the size is that of the checkpoint.
        seed: of the network, the split, the order of frames and their rotations.
        minutes: wall time of all stages together; what comes first of this and ``epochs`` ends
            the training. 60 if neither is given.
        epochs: passes over the training frames, of all stages together.
        batch_size: frames per step; by default as many as have about 200 atoms.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; by default torch's own choice.
        start: metatrain checkpoint (``.ckpt``) to continue from, with the outputs needed.
        cutoff: Å, of one message-passing layer; with ``start`` that of the checkpoint.
        learning_rate: highest one of the first stage of a fresh network; later stages, and those
            of a checkpoint, take a part of it.
        energy_key, forces_key, stress_key: names of the labels; found by themselves if ``None``.
            ``stress_key="none"`` leaves stresses out.
        max_force: eV/Å; a frame with a larger force on an atom is refused.
        trust_units: whether to leave out the check of units.
        save_every_s: wall time between states that a killed training goes on from.
        temperature_K: of the model's own dynamics, from which the alignment takes frames.
    """

    recipe: str = "hybrid"
    size: str = "s"
    seed: int = 0
    minutes: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    device: str = "cpu"
    threads: int | None = None
    start: Path | None = None
    cutoff: float = 4.5
    learning_rate: float = 5e-3
    energy_key: str | None = None
    forces_key: str | None = None
    stress_key: str | None = None
    max_force: float = 100.0
    trust_units: bool = False
    save_every_s: float = 60.0
    temperature_K: float = 300.0

    def __post_init__(self) -> None:
        for name, allowed in (("recipe", RECIPES), ("size", SIZES)):
            if getattr(self, name) not in allowed:
                raise ModelError(
                    f"expected {name} {', '.join(allowed)}, got '{getattr(self, name)}'; "
                    f"change --{name}"
                )
        for name in ("minutes", "epochs", "batch_size", "threads", "cutoff", "learning_rate",
                     "max_force", "save_every_s", "temperature_K"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ModelError(
                    f"expected a positive number for {name}, got {value}; change --"
                    f"{name.removesuffix('_K').replace('_', '-')}"
                )

        if self.recipe == "alignment" and self.start is None:
            raise ModelError(
                "expected a trained model to align, got none; give its checkpoint with --start"
            )

    @property
    def architecture(self) -> dict[str, Any]:
        """Options of metatrain's PET."""
        return SIZES[self.size] | {
            "cutoff": self.cutoff,
            "cutoff_width": 0.2 * self.cutoff,
            "num_attention_layers": ATTENTION_LAYERS[self.size],
            "num_gnn_layers": 2,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainOptions:
        """Return the options that ``as_dict`` was of."""
        start = values.get("start")
        return cls(**values | {"start": None if start is None else Path(start)})

    def as_dict(self) -> dict[str, Any]:
        """Return all options as JSON can hold them."""
        return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}
