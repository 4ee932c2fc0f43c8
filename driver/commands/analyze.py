"""The command ``analyze``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DeviceOption, ThreadsOption

__all__ = ["analyze"]


def analyze(
    runs: Annotated[
        list[str],
        typer.Argument(help="Folders of runs, or input files; A+B: runs of one kind, together."),
    ],
    out: Annotated[Path, typer.Option(help="The report to write.")] = Path("analysis.html"),
    json: Annotated[Path | None, typer.Option(help="Write all numbers as JSON.")] = None,
    skip: Annotated[float, typer.Option(help="Leave out the first ps.", min=0.0)] = 0.0,
    frames: Annotated[
        int, typer.Option(help="Frames of the first run to show with both forces.", min=0)
    ] = 20,
    pictures: Annotated[
        Path | None, typer.Option(help="A folder for the pictures, as PNG.", file_okay=False)
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
) -> None:
    """Analyse runs: drift, temperatures, structure, vibrations, diffusion, and how they differ."""
    from rich.console import Console
    from rich.table import Table

    from ..threads import configure_threads

    configure_threads(threads)
    from ..study.analysis.report import analyze, html
    from ..study.analysis.run_data import open_groups

    names = [[run] if Path(run).exists() else run.split("+") for run in runs]
    groups = [g for group in names for g in open_groups(map(Path, group), skip_ps=skip)]
    report = analyze(groups, frames=frames, device=device)
    out.write_text(html(report), encoding="utf-8")
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        for name, png in report.plots.items():
            (pictures / f"{name.replace(' ', '_')}.png").write_bytes(png)
    table = Table("", "unit", *(analysis.label for analysis in report.analyses))
    for row in report.rows():
        table.add_row(*row)
    console = Console()
    console.print(table, highlight=False)
    for remark in report.remarks:
        console.print(remark, highlight=False)
    if json is not None:
        json.write_text(report.to_json() + "\n")
