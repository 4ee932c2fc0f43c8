"""Trains a model: checks the data, runs the stages in a process of their own, measures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from halfkick.models.base import ModelError
from halfkick.models.train.card import Card
from halfkick.models.train.options import TrainOptions

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["train"]


def train(
    data: Path,
    out: Path,
    options: TrainOptions,
    *,
    held_out: Path | None = None,
    work: Path | None = None,
    overwrite: bool = False,
    console: Console | None = None,
) -> Card:
    """Train a model on labelled frames; the same call goes on where a killed one was.

    Writes ``out`` (an exported metatomic model), and beside it, with its name, ``.ckpt`` (a
    metatrain checkpoint, to continue from), ``.card.json``, ``.card.md`` and ``.png`` (parity).

    Args:
        data: frames that ASE reads, with forces, and energies unless the recipe is ``direct``.
        out: the model to write, ``.pt``.
        options: how.
        held_out: frames for the final errors; by default a part of ``data``.
        work: folder of the resumable state, kept in the end; by default ``OUT.train`` beside
            ``out``, removed in the end.
        overwrite: whether ``out`` may exist.
        console: where to show progress; nowhere by default.

    Raises:
        ModelError: if the data or the options cannot be right, or training failed.
    """
    raise ModelError("training is not there yet")
