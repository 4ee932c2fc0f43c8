"""The command ``bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DeviceOption, ThreadsOption

__all__ = ["bench"]


def bench(
    input_xml: Annotated[
        Path | None,
        typer.Argument(help="An i-PI input with both force fields; default: the water scenario."),
    ] = None,
    beads: Annotated[str | None, typer.Option(help="Numbers of beads, such as 1,8,32.")] = None,
    atoms: Annotated[
        str | None, typer.Option(help="Numbers of atoms, in multiples of the template's.")
    ] = None,
    modes: Annotated[str, typer.Option(help="Of conservative,direct,mts.")] = (
        "conservative,direct,mts"
    ),
    stride: Annotated[int | None, typer.Option(help="Inner steps in an outer step.", min=1)] = None,
    repeats: Annotated[int, typer.Option(help="How often to measure each.", min=1)] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="One short measurement of each.")] = False,
    in_a_row: Annotated[
        int, typer.Option(help="Outer steps that halfkick then does alone, to find stalls.", min=0)
    ] = 0,
    out: Annotated[Path, typer.Option(help="Where to leave bench.json and bench.png.")] = Path(),
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
) -> None:
    """Time halfkick against i-PI's own drivers, on the same input and in one run."""
    from rich.console import Console

    from ..run.processes import Machine
    from ..study.bench.run import bench as run_bench
    from ..study.bench.run import read_options
    from ..threads import configure_threads

    configure_threads(threads)
    options = read_options(input_xml, modes, beads, atoms, repeats, quick, in_a_row)
    run_bench(input_xml, stride, options, Machine(device, threads=threads), out, Console())
