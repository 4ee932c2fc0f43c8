"""The command ``validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DeviceOption, DtypeOption, ThreadsOption

__all__ = ["validate"]


def validate(
    input_xml: Annotated[
        Path | None,
        typer.Argument(help="An input with both forces, or its folder; without one, water."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Of water, named as in <parameters>; 'water'.")
    ] = None,
    length: Annotated[float, typer.Option(help="ps of each run.", min=1e-3)] = 5.0,
    molecules: Annotated[int | None, typer.Option(help="Of water: 32, 64, 512, …; 32.")] = None,
    equilibrate: Annotated[float, typer.Option(help="ps before all of them.", min=1e-3)] = 1.0,
    ensemble: Annotated[
        list[str] | None, typer.Option(help="nve, svr or langevin; give it several times.")
    ] = None,
    optimise: Annotated[int, typer.Option(help="Steps of an optimisation; 0: none.", min=0)] = 200,
    out: Annotated[Path, typer.Option(help="Folder for all of it.")] = Path("validate"),
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Show what direct forces do alone and what MTS makes of them; of water hours on a CPU."""
    from rich.console import Console
    from rich.table import Table

    from ..threads import configure_threads

    configure_threads(threads)
    from ..errors import InputError
    from ..run.processes import Machine
    from ..study.validation.validate import TAU_FS, ValidationOptions
    from ..study.validation.verdicts import answer
    from ..study.validation.workflow import validate_model

    ensembles = tuple(ensemble or TAU_FS)
    if input_xml is not None and (model, molecules) != (None, None):
        raise InputError(
            "expected no --model and no --molecules beside an input, got some; name the model in "
            "its <parameters>"
        )
    options = ValidationOptions(
        model or ValidationOptions.model,
        molecules or ValidationOptions.molecules,
        length, equilibrate, optimise, ensembles, input_xml,
    )  # fmt: skip
    console = Console()
    judged = validate_model(options, out, Machine(device, dtype, threads), console.print)
    table = Table("claim", "found", "")
    for verdict in judged:
        table.add_row(verdict.claim, verdict.found, answer(verdict))
    console.print(table, highlight=False)
    console.print(f"report: {out / 'validate.html'}")
