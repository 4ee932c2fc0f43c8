"""The command ``watch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["watch"]


def watch(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or its input file.")] = Path(),
    once: Annotated[bool, typer.Option("--once", help="Look once.")] = False,
) -> None:
    """Show how a run goes that was started elsewhere."""
    from rich.console import Console

    from ..run.watch import watch as show

    show(run, Console(), once=once)
