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
    from halfkick.driver.run.job import describe
    from halfkick.driver.run.picture import compare as draw
    from halfkick.driver.run.properties import read_properties

    jobs = [describe(path / "input.xml" if path.is_dir() else path) for path in runs]
    draw({job.folder.name: (read_properties(job.properties), job.n_atoms) for job in jobs}, out)
