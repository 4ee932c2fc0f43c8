"""Command-line options that several commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from ..ipi.transport import TRANSPORTS

__all__ = ["DeviceOption", "DtypeOption", "ThreadsOption", "WaitOption", "address_options"]

DeviceOption = Annotated[str, typer.Option(help="cpu, cuda or cuda:N; several: cuda:0,cuda:1.")]
DtypeOption = Annotated[
    str | None, typer.Option(help="float32 or float64; default: as the model was made.")
]
WaitOption = Annotated[float, typer.Option(help="Seconds to wait for i-PI.", min=0.0)]
ThreadsOption = Annotated[int | None, typer.Option(help="CPU threads for the model.", min=1)]


def address_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each way to reach i-PI, in the place of its ``addresses``."""

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        addresses = [
            transport.parse(text)
            for mode, transport in TRANSPORTS.items()
            for text in given.pop(mode) or ()
        ]
        command(**given, addresses=addresses)

    options = [
        inspect.Parameter(
            mode,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[list[str] | None, typer.Option(help=transport.option_help)],
        )
        for mode, transport in TRANSPORTS.items()
    ]
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        own = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        parameters += options if parameter.name == "addresses" else [own]
    # what typer looks at
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_options
