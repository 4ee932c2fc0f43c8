"""The command ``distill``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from .options import DeviceOption, ThreadsOption

__all__ = ["distill"]


def distill(
    teacher: Annotated[str, typer.Argument(help="The potential to distil: so3lr, FILE.pt, …")],
    structures: Annotated[list[Path], typer.Argument(help="Files of structures to begin from.")],
    out: Annotated[Path, typer.Option(help="The student to write.")] = Path("student.pt"),
    surrogate: Annotated[
        str | None, typer.Option(help="A cheaper model, which samples before there is a student.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Frames that the teacher has labelled before.")
    ] = None,
    conservative: Annotated[
        bool, typer.Option("--conservative", help="A student with an energy, not direct forces.")
    ] = False,
    quantum: Annotated[
        bool, typer.Option("--quantum", help="Sample ring polymers of 8 beads.")
    ] = False,
    size: Annotated[str | None, typer.Option(help="Of the network: xs, s or m.")] = None,
    cutoff: Annotated[float, typer.Option(help="Å, of one message-passing layer.")] = 4.5,
    temperature: Annotated[
        list[float] | None, typer.Option(help="K; may be given several times; 300 and 500.")
    ] = None,
    strain: Annotated[float, typer.Option(help="Largest strain of periodic cells.")] = 0.03,
    timestep: Annotated[float, typer.Option(help="Inner step of the dynamics, fs.")] = 0.5,
    stride: Annotated[int, typer.Option(help="Inner steps between two corrections.")] = 4,
    interval: Annotated[float, typer.Option(help="Between two frames, fs.")] = 20.0,
    frames: Annotated[int, typer.Option(help="Frames to train on in each round.")] = 200,
    rounds: Annotated[int, typer.Option(help="Trainings at most.")] = 4,
    minutes: Annotated[float, typer.Option(help="Wall time at most.")] = 60.0,
    gap: Annotated[float, typer.Option(help="meV/Å; small enough on fresh frames.")] = 0.0,
    epochs: Annotated[int | None, typer.Option(help="Of each training at most.")] = None,
    work: Annotated[Path | None, typer.Option(help="Folder to work in.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
) -> None:
    """Teach a small, fast model the forces of any potential; repeated, it goes on."""
    from ..threads import configure_threads

    configure_threads(threads)
    from ...models.distill import DistillOptions
    from ...models.distill import distill as start

    logging.getLogger("halfkick.models.distill").setLevel(logging.INFO)
    options = DistillOptions(
        conservative=conservative,
        size=size,
        cutoff=cutoff,
        temperatures_K=tuple(temperature or DistillOptions.temperatures_K),
        strain=strain,
        beads=8 if quantum else 1,
        timestep_fs=timestep,
        stride=stride,
        interval_fs=interval,
        frames=frames,
        rounds=rounds,
        minutes=minutes,
        gap=gap,
        epochs=epochs,
        seed=seed,
    )
    start(
        teacher,
        structures,
        out,
        options,
        surrogate=surrogate,
        labels=labels,
        work=work,
        device=device,
        threads=threads,
    )
    print(out.with_suffix(".card.md").read_text())
