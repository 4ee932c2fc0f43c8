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
    """Find the stride: short runs at constant energy, a picture with the knee, a better input."""
    from rich.console import Console

    from ..threads import settle

    settle(threads)
    from ..ipi.mts_input import MtsInput
    from ..run.job import describe
    from ..run.processes import Machine
    from ..run.runner import quiet_runner
    from ..study.analysis.forces import load_pair
    from ..study.tuning import plot as knee
    from ..study.tuning import tune as tuning

    job = describe(input_xml)
    source, pair = MtsInput(job.source), load_pair(job, device, dtype)
    defaults = tuning.Options()
    options = tuning.Options(
        strides or defaults.strides, inner or (), seeds, ps, equilibrate, limit, defaults.frames
    )
    console, rows = Console(), []
    runner = quiet_runner(Machine(device, dtype, threads))
    for row in tuning.tune(source, out, pair, options, runner):
        rows.append(row)
        tuning.write_json(rows, out / "tune.json")
        console.print(f"{row.inner_fs:g} fs, M = {row.stride}: RMS drift {row.rms_drift:.3g}")
    chosen = tuning.best(rows)
    knee.draw(rows, limit, chosen, out / "tune.png")
    console.print(knee.table(rows), highlight=False)
    if chosen is None:
        console.print(f"no stride holds the drift below {limit:g} meV/atom/ps")
        raise typer.Exit(1)
    path = source.recommended(chosen.inner_fs, chosen.stride).write(out / "recommended.xml")
    console.print(f"recommended: {chosen.inner_fs:g} fs, M = {chosen.stride}; see {path}")
