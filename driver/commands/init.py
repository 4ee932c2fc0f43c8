"""The command ``init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .options import DeviceOption, DtypeOption, ThreadsOption

__all__ = ["init"]

THERMOSTATS = ("svr", "langevin", "pile_g", "pile_l")


def init(
    structure: Annotated[str, typer.Argument(help="FILE (last frame) or FILE@INDEX.")],
    model: Annotated[str, typer.Option(help="Of the conservative forces: water, FILE.pt, …")],
    inner: Annotated[str | None, typer.Option(help="Another model, for the forces inside.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; default: the structure's name.")
    ] = None,
    nve: Annotated[bool, typer.Option("--nve", help="Constant energy.")] = False,
    nvt: Annotated[bool, typer.Option("--nvt", help="Constant temperature; the default.")] = False,
    npt: Annotated[bool, typer.Option("--npt", help="Constant temperature, pressure.")] = False,
    temperature: Annotated[float, typer.Option(help="K.", min=0.1)] = 300.0,
    pressure: Annotated[float, typer.Option(help="MPa.")] = 0.1,
    beads: Annotated[int, typer.Option(help="Of ring polymers.", min=1)] = 1,
    contraction: Annotated[
        int | None, typer.Option(help="Beads on which direct forces are corrected.", min=1)
    ] = None,
    thermostat: Annotated[
        str | None, typer.Option(help=f"{', '.join(THERMOSTATS)}; default: what suits.")
    ] = None,
    tau: Annotated[float, typer.Option(help="Of the thermostat, fs.", min=1.0)] = 100.0,
    stride: Annotated[int | None, typer.Option(help="M; default: by a short check.", min=1)] = None,
    timestep: Annotated[
        float | None, typer.Option(help="Inner step, fs; likewise.", min=0.001)
    ] = None,
    ps: Annotated[float, typer.Option(help="Length of the run.", min=1e-6)] = 10.0,
    seed: Annotated[int, typer.Option(help="Of velocities and thermostat.")] = 31415,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Write a folder that runs, from a structure and a model."""
    if nve + nvt + npt > 1:
        raise InputError("expected one of --nve, --nvt and --npt, got several; leave out others")
    if thermostat is not None and thermostat not in THERMOSTATS:
        raise InputError(f"expected --thermostat {', '.join(THERMOSTATS)}, got '{thermostat}'")
    from ..threads import configure_threads

    configure_threads(threads)
    from ...models.spec import ModelSpec
    from ..setup.forces import loader
    from ..setup.init import write_folder
    from ..setup.options import InitOptions

    folder = out or Path(Path(structure.partition("@")[0]).stem)
    options = InitOptions(
        ensemble="nve" if nve else "npt" if npt else "nvt",
        temperature_K=temperature,
        pressure_MPa=pressure,
        beads=beads,
        contraction=contraction,
        thermostat=thermostat,
        tau_fs=tau,
        stride=stride,
        timestep_fs=timestep,
        ps=ps,
        seed=seed,
    )
    specs = ModelSpec.parse(model), None if inner is None else ModelSpec.parse(inner)
    write_folder(structure, *specs, folder, options, loader(device, dtype), print)
    print(f"written: halfkick run {folder}")
