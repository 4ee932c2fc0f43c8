"""From a teacher and some structures to a student with its card."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

from ..base import Role
from ..errors import ModelError
from ..load import load_model
from .card import DistillCard
from .inputs import read_starts, take_labels
from .options import DistillOptions
from .record import Record
from .rounds import Rounds, Train
from .sample import ServedForce, make_walkers

__all__ = ["distill"]


def distill(
    teacher: str,
    structures: Sequence[Path],
    out: Path,
    options: DistillOptions,
    *,
    surrogate: str | None = None,
    labels: Path | None = None,
    work: Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
    train: Train | None = None,
) -> DistillCard:
    """Distil a student of any conservative potential; the same call goes on where one was killed.

    Writes ``out`` (an exported metatomic model) and its ``.ckpt``, ``.card.json`` and ``.card.md``.

    Args:
        teacher: what :func:`halfkick.models.load.load_model` understands.
        structures: files of what to begin from; all frames of each.
        out: the model to write, ``.pt``.
        options: how.
        surrogate: a cheaper model that samples while there is no student.
        labels: frames that the teacher has labelled before.
        work: folder of labels, students and their data; by default ``OUT.distill`` beside ``out``.
        device: of all models and of the training.
        threads: CPU threads of the training.
        train: trains a student; by default :func:`halfkick.models.train.train`.

    Raises:
        DataError: if structures or labels cannot be right.
        ModelError: if something else given cannot be right, or training failed.
    """
    if out.suffix != ".pt":
        raise ModelError(f"expected a model file NAME.pt to write, got '{out}'; change --out")
    if train is None:
        _check_training(options)
        train = partial(_train, options=options, device=device, threads=threads)
    exact = ServedForce(load_model(teacher, device=device), Role.CONSERVATIVE)
    cheap = None if surrogate is None else _surrogate(surrogate, device)
    forces = [force for force in (exact, cheap) if force is not None]
    starts = read_starts(structures, [force.model for force in forces])
    for force, atoms in product(forces, starts):
        force.model.check(atoms.numbers, force.role)
    folder = work or out.with_suffix(".distill")
    inputs = {"teacher": teacher, "structures": [str(path) for path in structures]}
    record = Record(folder, inputs | options.lasting())
    rounds = Rounds(
        exact,
        make_walkers(starts, options),
        folder,
        record,
        options,
        train,
        lambda path: load_model(str(path), device=device),
        cheap,
    )
    if labels is not None:
        take_labels(labels, rounds.labels, exact, energy=options.conservative)
    best = rounds.run()
    student = rounds.student(best)
    for suffix in (".pt", ".ckpt"):
        if student.with_suffix(suffix).is_file():
            shutil.copy2(student.with_suffix(suffix), out.with_suffix(suffix))
    card = DistillCard.of(record, rounds.labels, options, best, teacher, surrogate, structures)
    card.write(out)
    return card


def _surrogate(spec: str, device: str) -> ServedForce:
    """Conservative forces of the surrogate if it has any, else its direct ones."""
    model = load_model(spec, device=device)
    offered = model.capabilities.roles
    return ServedForce(model, Role.CONSERVATIVE if Role.CONSERVATIVE in offered else Role.DIRECT)


def _check_training(options: DistillOptions) -> None:
    """Raise ModelError for what would end a training, before hours of sampling."""
    from ..backends.pet.metatrain import import_pet
    from ..train.labels.check import MIN_FRAMES

    import_pet()
    if options.frames < MIN_FRAMES:
        raise ModelError(
            f"expected at least {MIN_FRAMES} frames in a round, got {options.frames}; "
            f"change --frames"
        )


def _train(
    data: Path,
    out: Path,
    minutes: float,
    start: Path | None,
    work: Path,
    *,
    options: DistillOptions,
    device: str,
    threads: int | None,
) -> None:
    """Train a student with halfkick's own recipes."""
    from ..train import TrainOptions, train

    recipe = "conservative" if options.conservative else "direct"
    training = TrainOptions(
        recipe=recipe,
        size=options.student_size,
        cutoff=options.cutoff,
        seed=options.seed,
        minutes=minutes,
        epochs=options.epochs,
        device=device.partition(",")[0],
        threads=threads,
        start=start,
        max_force=options.max_force,
    )
    train(data, out, training, work=work, overwrite=True)
