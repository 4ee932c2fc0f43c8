"""The command ``train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ThreadsOption

__all__ = ["train"]


def train(
    data: Annotated[Path, typer.Argument(help="Labelled frames that ASE reads (extended xyz).")],
    out: Annotated[Path, typer.Option(help="The model to write.")] = Path("model.pt"),
    held_out: Annotated[
        Path | None, typer.Option("--test", help="Frames for the final errors; default: a tenth.")
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="hybrid, conservative, direct, or alignment (with --start).")
    ] = "hybrid",
    size: Annotated[str, typer.Option(help="xs, s or m.")] = "s",
    minutes: Annotated[float | None, typer.Option(help="For all stages; default: 60.")] = None,
    epochs: Annotated[int | None, typer.Option(help="For all stages, instead of minutes.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Frames per step.")] = None,
    cutoff: Annotated[float, typer.Option(help="Å, of one message-passing layer.")] = 4.5,
    learning_rate: Annotated[float, typer.Option(help="The highest one.")] = 5e-3,
    temperature: Annotated[float, typer.Option(help="K, of the model's own dynamics.")] = 300.0,
    start: Annotated[
        str | None, typer.Option(help="What to continue from: a .ckpt, or water.")
    ] = None,
    energy_key: Annotated[str | None, typer.Option(help="Name of the energies.")] = None,
    forces_key: Annotated[str | None, typer.Option(help="Name of the forces.")] = None,
    stress_key: Annotated[
        str | None, typer.Option(help="Name of the stresses or virials; none: leave them out.")
    ] = None,
    max_force: Annotated[float, typer.Option(help="eV/Å; larger ones are refused.")] = 100.0,
    trust_units: Annotated[bool, typer.Option("--trust-units", help="Skip that check.")] = False,
    seed: Annotated[int, typer.Option()] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    threads: ThreadsOption = None,
    work: Annotated[Path | None, typer.Option(help="Folder of the state, kept.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model.")] = False,
) -> None:
    """Train a model with direct and conservative forces on labelled frames."""
    from rich.console import Console

    from ...models.load import find_checkpoint
    from ...models.train import TrainOptions
    from ...models.train import train as run_training

    options = TrainOptions(
        recipe=recipe, size=size, seed=seed, minutes=minutes, epochs=epochs,
        start=None if start is None else find_checkpoint(start), batch_size=batch_size,
        device=device, threads=threads, cutoff=cutoff, learning_rate=learning_rate,
        energy_key=energy_key, forces_key=forces_key, stress_key=stress_key,
        max_force=max_force, trust_units=trust_units, temperature_K=temperature,
    )  # fmt: skip
    console = Console()
    card = run_training(
        data, out, options, held_out=held_out, work=work, overwrite=overwrite, console=console
    )
    console.print("\n".join(card.tables()), f"\n{out.with_suffix('.card.md')} tells more.")
