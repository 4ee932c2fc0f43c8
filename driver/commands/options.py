"""Command-line options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["DeviceOption", "DtypeOption", "ThreadsOption", "WaitOption"]

DeviceOption = Annotated[str, typer.Option(help="cpu, cuda or cuda:N; several: cuda:0,cuda:1.")]
DtypeOption = Annotated[
    str | None, typer.Option(help="float32 or float64; default: as the model was made.")
]
WaitOption = Annotated[float, typer.Option(help="Seconds to wait for i-PI.", min=0.0)]
ThreadsOption = Annotated[int | None, typer.Option(help="CPU threads for the model.", min=1)]
