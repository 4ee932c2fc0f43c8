"""The command ``adopt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .options import DeviceOption, DtypeOption, ThreadsOption

__all__ = ["adopt"]


def adopt(
    input_xml: Annotated[Path, typer.Argument(help="An i-PI input with an ffsocket or ffdirect.")],
    model: Annotated[
        str | None, typer.Option(help="Of the conservative forces; default: what the input names.")
    ] = None,
    inner: Annotated[str | None, typer.Option(help="Another model, for the forces inside.")] = None,
    stride: Annotated[int | None, typer.Option(help="M; default: by a short check.", min=1)] = None,
    template: Annotated[
        str | None, typer.Option(help="Structure file, where the input names none that ASE reads.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write; default: INPUT.halfkick.xml.")
    ] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Change the input itself.")] = False,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Make an i-PI input one for halfkick, and show what changes."""
    from difflib import unified_diff

    from ..threads import configure_threads

    configure_threads(threads)
    from ...models.spec import ModelSpec
    from ..ipi.input import IpiInput
    from ..setup.adopt import AdoptOptions, adopted
    from ..setup.forces import loader

    target = input_xml if in_place else out or input_xml.with_suffix(".halfkick.xml")
    if target.exists() and not in_place:
        raise InputError(f"expected a new file, got '{target}', which is there; name another --out")
    if target.parent.resolve() != input_xml.parent.resolve():
        raise InputError(
            f"expected --out in the folder of '{input_xml}', whose files it names, got '{target}'"
        )
    source = IpiInput.read(input_xml, served=False)
    options = AdoptOptions(
        None if model is None else ModelSpec.parse(model),
        None if inner is None else ModelSpec.parse(inner),
        stride,
        template,
    )
    before = input_xml.read_text()
    after = adopted(source, options, loader(device, dtype), print).laid_out_as(before)
    old, new = (text.splitlines(keepends=True) for text in (before, after))
    print("".join(unified_diff(old, new, str(input_xml), str(target))), end="")
    target.write_text(after)
    print(f"written: halfkick run {target}")
