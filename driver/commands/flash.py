"""The command ``flash ipi``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["flash"]

flash = typer.Typer(no_args_is_help=True, help="Move atoms by a network: FlashMD.")


@flash.command()
def ipi(
    input_xml: Annotated[Path, typer.Argument(help="An i-PI input with a network.")],
    device: Annotated[str, typer.Option(help="Of the network: cpu, cuda or cuda:N.")] = "cpu",
) -> None:
    """Run i-PI with the stepper, beside halfkick serve in another terminal."""
    from ..flash.ipi import run

    run(input_xml, device)
