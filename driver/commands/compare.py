"""The command ``compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["compare"]


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or input files.")],
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path("compare.png"),
) -> None:
    """Draw the conserved quantity and the temperature of several runs over each other."""
    from ..errors import InputError, RunError
    from ..ipi.properties import read_properties
    from ..run.folder import find_input
    from ..run.job import describe, labels_of
    from ..run.plot import draw_comparison
    from ..run.systems import names_of

    jobs = [describe(find_input(path)) for path in runs]
    shown = {}
    for job, label in zip(jobs, labels_of(jobs), strict=True):
        for name, system in zip(names_of(job.systems), job.systems, strict=True):
            rows = read_properties(system.properties)
            if not len(rows) or (rows.conserved is None and rows.temperature is None):
                raise InputError(
                    f"expected conserved or temperature in a properties file with rows in "
                    f"'{job.folder}', got none; run it first"
                )
            if rows.fault is not None:
                raise RunError(f"'{job.folder}': {rows.fault}")
            several = len(job.systems) > 1
            shown[f"{label} {name}" if several else label] = rows, system.n_atoms
    draw_comparison(shown, out)
