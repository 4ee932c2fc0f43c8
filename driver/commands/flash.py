"""The commands ``flash ipi`` and ``flash train``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from .options import ThreadsOption

__all__ = ["flash"]

flash = typer.Typer(no_args_is_help=True, help="Move atoms by a network: FlashMD.")


@flash.command()
def ipi(
    input_xml: Annotated[Path, typer.Argument(help="An i-PI input with a network.")],
    device: Annotated[str, typer.Option(help="Of the network: cpu, cuda or cuda:N.")] = "cpu",
) -> None:
    """Run i-PI with the stepper, beside halfkick serve in another terminal."""
    from ..flash.ipi import run

    run(input_xml, device)


@flash.command()
def train(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs at constant energy.")],
    stride: Annotated[float, typer.Option(help="fs, how far ahead it predicts.")],
    out: Annotated[Path, typer.Option(help="The network to write.")] = Path("flash.pt"),
    every: Annotated[
        float | None, typer.Option(help="fs between pairs; default: as momenta forget.")
    ] = None,
    size: Annotated[str, typer.Option(help="xs, s or m.")] = "s",
    cutoff: Annotated[float, typer.Option(help="Å, of one message-passing layer.")] = 4.5,
    minutes: Annotated[float | None, typer.Option(help="How long; default: 60.")] = None,
    epochs: Annotated[int | None, typer.Option(help="How long, instead of minutes.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs per step.")] = None,
    learning_rate: Annotated[float, typer.Option(help="The highest one.")] = 1e-2,
    seed: Annotated[int, typer.Option()] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    threads: ThreadsOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the network.")] = False,
) -> None:
    """Train a network on runs at constant energy that wrote positions and velocities."""
    from rich.console import Console

    from ...models.flash.train import FlashOptions
    from ...models.flash.train import train as run_training
    from ..flash.trajectories import read_trajectory

    options = FlashOptions(
        stride_fs=stride, every_fs=every, size=size, cutoff=cutoff, minutes=minutes, epochs=epochs,
        batch_size=batch_size, learning_rate=learning_rate, seed=seed, device=device,
        threads=threads,
    )  # fmt: skip
    trajectories = [read_trajectory(path) for path in runs]
    console, command = Console(), shlex.join(["halfkick", *sys.argv[1:]])
    card = run_training(
        trajectories, out, options, command=command, overwrite=overwrite, console=console
    )
    console.print(f"{card['pairs']['train']} pairs, {card['steps']} steps, {card['seconds']:.0f} s")
    for species, of_species in card["errors"].items():
        for output, error in of_species.items():
            part = 100 * error["rmse"] / error["size"]
            console.print(f"{species}, change of {output} in {stride:g} fs: error {part:.1f} %")
