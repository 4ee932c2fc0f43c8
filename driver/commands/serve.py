"""The command ``serve``."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..ipi.transport import TRANSPORTS, Address
from .options import (
    DeviceOption,
    DtypeOption,
    ThreadsOption,
    WaitOption,
    address_options,
)

__all__ = ["serve"]


@address_options
def serve(
    input_xml: Annotated[
        Path | None, typer.Argument(help="The i-PI input (or RESTART) whose force fields to serve.")
    ] = None,
    *,
    addresses: Sequence[Address],
    prefix: Annotated[
        str | None, typer.Option(help="i-PI's sockets_prefix, if not the XML's.")
    ] = None,
    connections: Annotated[
        int | None,
        typer.Option(help="To each address; default: as the XML needs.", min=1),
    ] = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
    wait: WaitOption = 60.0,
    report: Annotated[Path | None, typer.Option(help="Write what was evaluated as JSON.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Write how it goes as JSON lines.")] = None,
    journal_stride: Annotated[
        int, typer.Option(min=1, help="Conservative requests between two lines.")
    ] = 10,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Let i-PI name files outside of this folder.")
    ] = False,
    allow_code: Annotated[
        bool,
        typer.Option("--allow-code", help="Let i-PI name code to call: python:…, ase:…, options."),
    ] = False,
) -> None:
    """Serve force fields to an i-PI that is started elsewhere."""
    from ...models.load import load_model
    from ..errors import InputError
    from ..ipi.checks import check_input
    from ..ipi.input import IpiInput
    from ..ipi.sockets import served_sockets
    from ..server.serve import ServeOptions, Server
    from ..threads import configure_threads

    logging.getLogger("halfkick").setLevel(logging.INFO)
    if input_xml is None and not addresses:
        *most, last = (f"--{mode} {one.placeholder}" for mode, one in TRANSPORTS.items())
        raise InputError(f"expected an i-PI input file, {', '.join(most)} or {last}")
    source = IpiInput() if input_xml is None else IpiInput.read(input_xml)
    report, journal = (None if file is None else file.absolute() for file in (report, journal))
    os.chdir(source.folder)  # files are named as i-PI finds them
    check_input(source, Path.cwd(), alone=True)
    sockets = served_sockets(source.sockets, addresses, prefix, connections)
    configure_threads(threads)
    server = Server(
        sockets,
        lambda spec: load_model(spec, device=device, dtype=dtype),
        ServeOptions(wait, source, report, journal, journal_stride, allow_outside, allow_code),
    )
    server.run()
