"""The command ``tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DeviceOption, DtypeOption, ThreadsOption

__all__ = ["tune"]


def tune(
    input_xml: Annotated[Path, typer.Argument(help="An i-PI input with <nmts> [1, M].")],
    strides: Annotated[
        list[int] | None, typer.Option(help="M; give it several times.", min=1)
    ] = None,
    inner: Annotated[
        list[float] | None, typer.Option(help="Inner step, fs; likewise.", min=0.01)
    ] = None,
    ps: Annotated[float, typer.Option(help="Length of each run.", min=1e-3)] = 0.5,
    seeds: Annotated[int, typer.Option(help="Runs of each setting.", min=1)] = 2,
    equilibrate: Annotated[float, typer.Option(help="ps before all of them.", min=1e-3)] = 0.2,
    limit: Annotated[float, typer.Option(help="Drift to accept, meV/atom/ps.", min=0.0)] = 0.5,
    out: Annotated[Path, typer.Option(help="Folder for the runs and results.")] = Path("tune"),
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Find the stride: short runs at constant energy, a plot of drift and speed, a better input."""
    from rich.console import Console

    from ..threads import configure_threads

    configure_threads(threads)
    from ..run.processes import Machine
    from ..study.tuning.plot import strides_table
    from ..study.tuning.tune import TuneOptions
    from ..study.tuning.workflow import find_stride

    options = TuneOptions(
        strides=strides or TuneOptions.strides,
        inner_fs=inner or (),
        seeds=seeds,
        ps=ps,
        equilibrate_ps=equilibrate,
        limit=limit,
    )
    console = Console()
    tuning = find_stride(input_xml, out, options, Machine(device, dtype, threads), console.print)
    console.print(strides_table(tuning.results), highlight=False)
    chosen = tuning.chosen
    if chosen is None:
        console.print(f"no stride holds the drift below {limit:g} meV/atom/ps")
        raise typer.Exit(1)
    steps = f"{chosen.inner_fs:g} fs, M = {chosen.stride}"
    console.print(f"recommended: {steps}; see {tuning.recommended}")
