"""The command ``validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DeviceOption, DtypeOption, ThreadsOption

__all__ = ["validate"]


def validate(
    model: Annotated[str, typer.Option(help="Of water, named as in <parameters>.")] = "water",
    length: Annotated[float, typer.Option(help="ps of each run.", min=1e-3)] = 5.0,
    molecules: Annotated[int, typer.Option(help="32, 64, 512, …")] = 32,
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
    """Show on water what direct forces do alone and what MTS makes of them; hours on a CPU."""
    from rich.console import Console
    from rich.table import Table

    from ..threads import configure_threads

    configure_threads(threads)
    from ...models.base import Role
    from ...models.load import load_model
    from ...models.pair import Pair
    from ..run.processes import Machine
    from ..run.runner import quiet_runner
    from ..study.validation import validate as validation
    from ..study.validation.verdicts import answer, verdicts

    chosen = tuple(ensemble or validation.TAU_FS)
    plan = validation.Plan(model, molecules, length, equilibrate, optimise, chosen)
    loaded = load_model(model, device=device, dtype=dtype)
    pair = Pair({role: loaded for role in Role})
    runner = quiet_runner(Machine(device, dtype, threads))
    console, done = Console(), []
    places = validation.simulate(plan, out, runner, console.print)
    if optimise:
        done = validation.geometries(plan, out, pair, runner, console.print)
    reports = validation.results(plan, places)
    judged = verdicts(reports, validation.targets(reports, pair), done)
    page = validation.html(plan, reports, judged, done)
    (out / "validate.html").write_text(page, encoding="utf-8")
    (out / "validate.json").write_text(validation.to_json(plan, reports, judged, done))
    table = Table("claim", "found", "")
    for verdict in judged:
        table.add_row(verdict.claim, verdict.found, answer(verdict))
    console.print(table, highlight=False)
    console.print(f"report: {out / 'validate.html'}")
