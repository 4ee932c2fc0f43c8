"""The command ``check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DeviceOption, DtypeOption, ThreadsOption

__all__ = ["check"]


def check(
    model: Annotated[str, typer.Argument(help="A model, named as in <parameters> model.")],
    structure: Annotated[str, typer.Argument(help="FILE (last frame), FILE@INDEX or FILE@:.")],
    direct: Annotated[
        str | None, typer.Option(help="Another model, whose direct forces to take.")
    ] = None,
    probes: Annotated[int, typer.Option(help="Random directions for the curl.", min=3)] = 12,
    dynamics: Annotated[
        int, typer.Option(help="Steps from each start, to predict drifts; 0 for none.", min=0)
    ] = 600,
    temperature: Annotated[float, typer.Option(help="Of the dynamics, K.", min=1.0)] = 300.0,
    beads: Annotated[
        str | None, typer.Option(help="Of ring polymers, such as 8,32: their strides, too.")
    ] = None,
    contraction: Annotated[
        int | None, typer.Option(help="Beads that their corrections are contracted to.", min=1)
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write all numbers as JSON.")] = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Measure a model's two forces and the gap between them; recommend a step and a stride."""
    from rich.console import Console

    from ..threads import configure_threads

    configure_threads(threads)
    from ...models.base import Role
    from ...models.check.report import check
    from ...models.check.tables import tables
    from ...models.frames import read_frames_for, structure_of
    from ...models.load import load_model
    from ...models.pair import Pair
    from ..errors import InputError
    from ..ipi.elements import numbers

    counts = numbers(beads or "", int, "--beads")
    if any(count < 1 for count in counts):
        raise InputError(f"expected --beads of at least 1, got '{beads}'; give such as 8,32")
    names = [model] if direct is None else [model, direct]
    models = [load_model(name, device=device, dtype=dtype) for name in names]
    frames = read_frames_for(structure, models=models)
    structures = [structure_of(frame) for frame in frames]
    loaded = models[0]
    if direct is not None:
        loaded = Pair({Role.CONSERVATIVE: loaded, Role.DIRECT: models[1]})
    console = Console()
    with console.status("") as status:
        report = check(
            loaded, structures, masses=[frame.get_masses() for frame in frames], probes=probes,
            dynamics=dynamics, temperature_K=temperature, beads=counts, contraction=contraction,
            log=status.update,
        )  # fmt: skip
    for table in tables(report):
        console.print(table, highlight=False)
    if json is not None:
        json.write_text(report.to_json() + "\n")
