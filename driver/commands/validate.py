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
    optimise: Annotated[
        int | None, typer.Option(help="Steps of an optimisation, 200; 0: none.", min=0)
    ] = None,
    quantum: Annotated[
        bool, typer.Option("--quantum", help="Path integrals, instead of classical atoms.")
    ] = False,
    way: Annotated[
        list[str] | None,
        typer.Option(help="Of --quantum: a run such as piglet_mts; give it several times."),
    ] = None,
    contraction: Annotated[
        int | None, typer.Option(help="Of --quantum: beads of contracted corrections, 2.", min=1)
    ] = None,
    converged: Annotated[
        int | None, typer.Option(help="Of --quantum: beads of one more conservative run.", min=2)
    ] = None,
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
    from ..study.validation.quantum import QuantumOptions
    from ..study.validation.validate import TAU_FS, ValidationOptions
    from ..study.validation.verdicts import answer
    from ..study.validation.workflow import validate_model, validate_quantum

    if input_xml is not None and (model, molecules) != (None, None):
        raise InputError(
            "expected no --model and no --molecules beside an input, got some; name the model in "
            "its <parameters>"
        )
    if quantum and (ensemble or optimise):
        raise InputError(
            "expected no --ensemble and no --optimise with --quantum, got some; choose by --way"
        )
    if not quantum and (way or contraction or converged):
        raise InputError(
            "expected --quantum with --way, --contraction and --converged, got none; add it"
        )
    water = model or ValidationOptions.model, molecules or ValidationOptions.molecules
    console, machine = Console(), Machine(device, dtype, threads)
    if quantum:
        plan = QuantumOptions(
            length, equilibrate, contraction or QuantumOptions.contraction, converged or 0,
            way or (), *water, input_xml,
        )  # fmt: skip
        judged = validate_quantum(plan, out, machine, console.print)
    else:
        ensembles, steps = tuple(ensemble or TAU_FS), 200 if optimise is None else optimise
        options = ValidationOptions(*water, length, equilibrate, steps, ensembles, input_xml)
        judged = validate_model(options, out, machine, console.print)
    table = Table("claim", "found", "")
    for verdict in judged:
        table.add_row(verdict.claim, verdict.found, answer(verdict))
    console.print(table, highlight=False)
    console.print(f"report: {out / 'validate.html'}")
