"""Trains a model: checks the data, runs the stages in a process of their own, measures."""

from __future__ import annotations

import json
import platform
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from ..files import write_atomically
from ..versions import installed_versions
from .card import TrainCard
from .options import TrainOptions

if TYPE_CHECKING:
    from rich.console import Console

    from .labels.prepare import PreparedData

__all__ = ["train"]

DEFAULT_MINUTES = 60.0
BATCH_ATOMS = 200  # in a step
CHANGEABLE_OPTIONS = ("device", "threads", "batch_size", "save_every_s")  # amid a training
PACKAGES = ("halfkick", "metatrain", "metatomic-torch", "torch", "ase", "numpy")


def train(
    data: Path,
    out: Path,
    options: TrainOptions,
    *,
    held_out: Path | None = None,
    work: Path | None = None,
    overwrite: bool = False,
    console: Console | None = None,
) -> TrainCard:
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
        DataError: if the data cannot be right.
        ModelError: if the options cannot be right, or training failed.
    """
    if out.suffix != ".pt":
        raise ModelError(f"expected a model named FILE.pt, got '{out}'; change --out")
    folder = out.with_suffix(".train") if work is None else work
    if out.exists() and not overwrite and not (folder / "plan.json").exists():
        raise ModelError(f"expected no '{out}', got one; move it away, or pass --overwrite")
    if options.minutes is None and options.epochs is None:
        options = replace(options, minutes=DEFAULT_MINUTES)

    from ..backends.pet.metatrain import check_installed
    from ..load import check_device
    from .labels.prepare import prepare
    from .process import run_worker

    check_installed()
    check_device(options.device)
    prepared = prepare(data, options, held_out)
    if console is not None:
        for warning in prepared.warnings:
            console.print(f"warning: {warning}")
        for note in prepared.notes:
            console.print(note)
    write_plan(folder, prepared, options)
    notes = prepared.warnings + prepared.notes + run_worker(folder, console)
    card = TrainCard(out.name, options.as_dict(), command(), prepared.summary, notes=notes)
    finish(folder, prepared, card, out, options.device)
    if work is None:
        shutil.rmtree(folder)
    return card


def write_plan(folder: Path, prepared: PreparedData, options: TrainOptions) -> None:
    """Write what the training process reads; ModelError if the folder is another training's."""
    plan = {
        "options": options.as_dict(),
        "data": prepared.summary,
        "scale": prepared.scale,
        "baseline": prepared.baseline,
        "heads": prepared.heads,
    }
    plan = json.loads(json.dumps(plan))
    path = folder / "plan.json"
    if path.exists():
        differ = differences(json.loads(path.read_text()), plan)
        if differ:
            raise ModelError(
                f"expected folder '{folder}' to be of the same training, got one with other "
                f"{', '.join(differ)}; remove it, or choose another with --work"
            )
    else:
        folder.mkdir(parents=True, exist_ok=True)
        prepared.write(folder)
    size = options.batch_size or default_batch(prepared)
    sizes = folder / "batch_size.json"
    if not sizes.exists() or json.loads(sizes.read_text()) > size:
        sizes.write_text(json.dumps(size))
    write_atomically(path, json.dumps(plan, indent=1))


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Names of what differs between two plans and may not."""
    fixed = [name for name in new["options"] if name not in CHANGEABLE_OPTIONS]
    names = [name for name in fixed if old["options"][name] != new["options"][name]]
    return names + ["data"] * any(old[k] != new[k] for k in new if k != "options")


def default_batch(prepared: PreparedData) -> int:
    """Frames that have about ``BATCH_ATOMS`` atoms together."""
    frames = prepared.parts["train"]
    return max(1, round(BATCH_ATOMS * len(frames) / sum(len(f) for f in frames)))


def command() -> str:
    """The command line, or that there was none."""
    by_command = Path(sys.argv[0]).name in ("halfkick", "__main__.py") and "train" in sys.argv[1:2]
    return shlex.join(["halfkick", *sys.argv[1:]]) if by_command else "halfkick.models.train.train"


def finish(folder: Path, prepared: PreparedData, card: TrainCard, out: Path, device: str) -> None:
    """Export, measure, and put everything in its place; the model itself comes last."""
    from ..backends.pet import metatrain
    from ..frames import read_frames
    from .measure import errors_of, gap_of, predict_frames
    from .parity import draw_parity
    from .process import GAP_FILE

    exported = folder / "model.pt"
    metatrain.export(metatrain.read(folder / "model.ckpt"), exported)
    predictions = predict_frames(exported, prepared.parts["test"], device)
    card.errors = errors_of(predictions)
    if (folder / GAP_FILE).exists():
        gaps = gap_of(predict_frames(exported, read_frames(folder / GAP_FILE, ":"), device))
        card.gap = {name: gap.for_card() for name, gap in gaps.items()}
    card.stages = json.loads((folder / "stages.json").read_text())
    card.versions = {"Python": platform.python_version()} | installed_versions(PACKAGES)
    out.parent.mkdir(parents=True, exist_ok=True)
    draw_parity(predictions, out.with_suffix(".png"))
    card.write(out)
    shutil.copy(folder / "model.ckpt", out.with_suffix(".ckpt"))
    shutil.copy(exported, out)
