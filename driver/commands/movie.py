"""The command ``movie``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["movie"]


def movie(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or input files.")],
    out: Annotated[Path, typer.Option(help="The film to write: .gif or .mp4.")] = Path("movie.gif"),
    by: Annotated[
        Literal["time", "wall"],
        typer.Option(help="The clock that the runs share: simulated time, or what they took."),
    ] = "time",
    seconds: Annotated[float, typer.Option(help="Length of the film.", min=0.1)] = 8.0,
    fps: Annotated[float, typer.Option(help="Pictures per second.", min=0.1, max=50.0)] = 10.0,
    rotation: Annotated[
        str, typer.Option(help="Of the structures, as ASE writes it.")
    ] = "-80x,-10y",
    size: Annotated[int, typer.Option(help="Width of a structure, pixels.", min=100)] = 260,
    labels: Annotated[str | None, typer.Option(help="Names of the runs: a,b,c.")] = None,
) -> None:
    """Draw runs side by side as a film, with their times, temperatures and energies."""
    from ..study.movie.film import Film
    from ..study.movie.take import open_takes
    from ..study.movie.write import check_suffix, write

    check_suffix(out)
    takes = open_takes(runs, None if labels is None else labels.split(","))
    frames = max(round(seconds * fps), 2)
    write(out, Film(takes, by, frames, rotation, size).draw, frames, fps)
    unknown = [take.label for take in takes if take.wall_s is None]
    if unknown:
        print(
            f"no wall times in {', '.join(unknown)}: neither i-pi.log nor summary.json tells them"
        )
    print(f"{out}: {frames} pictures, {out.stat().st_size / 1e6:.1f} MB")
