"""The command ``run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DeviceOption, DtypeOption, ThreadsOption, WaitOption

__all__ = ["run"]


def run(
    what: Annotated[
        str, typer.Argument(help="An i-PI input file, or the name of a scenario to copy here.")
    ] = "water_nvt_mts",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps to do, instead of the XML's.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Go on from RESTART.")] = False,
    driver_only: Annotated[
        bool, typer.Option("--driver-only", help="Start the driver, not i-PI.")
    ] = False,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
    wait: WaitOption = 60.0,
) -> None:
    """Run i-PI and the driver on an input or on a scenario."""
    from rich.console import Console

    from ..run import launch
    from ..run.processes import Machine

    path = Path(what)
    if not path.suffix and not path.exists():
        path = launch.copy_scenario(what, Path.cwd()) / "input.xml"
    machine = Machine(device, dtype, threads, wait)
    code = launch.run(
        path, machine, Console(), steps=steps, restart=restart, driver_only=driver_only
    )
    raise typer.Exit(code)
