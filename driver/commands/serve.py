"""The command ``serve``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from .options import DeviceOption, DtypeOption, ThreadsOption, WaitOption

__all__ = ["serve"]


def serve(
    input_xml: Annotated[
        Path | None, typer.Argument(help="The i-PI input (or RESTART) whose force fields to serve.")
    ] = None,
    unix: Annotated[list[str] | None, typer.Option(help="Name of a unix socket.")] = None,
    shm: Annotated[list[str] | None, typer.Option(help="Name of a shared-memory socket.")] = None,
    inet: Annotated[list[str] | None, typer.Option(help="HOST:PORT.")] = None,
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
    from ..ipi.input import Input, collect, read_input
    from ..server.serve import ServeOptions, Server
    from ..threads import settle

    logging.getLogger("halfkick").setLevel(logging.INFO)
    addresses = {"unix": unix or [], "shm": shm or [], "inet": inet or []}
    if input_xml is None and not any(addresses.values()):
        raise InputError("expected an i-PI input file, --unix NAME, --shm NAME or --inet HOST:PORT")
    source = Input() if input_xml is None else read_input(input_xml)
    endpoints = collect(source, addresses, prefix, connections)
    settle(threads)
    server = Server(
        endpoints,
        lambda spec: load_model(spec, device=device, dtype=dtype),
        ServeOptions(wait, source, report, journal, journal_stride, allow_outside, allow_code),
    )
    server.run()
