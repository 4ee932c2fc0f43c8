"""The command ``halfkick``; only this and the commands it takes from elsewhere print."""

from __future__ import annotations

import errno
import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from halfkick.driver.analysis.command import analyze
from halfkick.driver.check import check
from halfkick.driver.distill import distill
from halfkick.driver.options import DeviceOption, DtypeOption, ThreadsOption, WaitOption
from halfkick.driver.tuning.command import tune
from halfkick.driver.validation.command import validate

OUTSIDE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)
"""Errors that are no fault of the program: a full or broken disk, no permission."""

app = typer.Typer(
    name="halfkick",
    help="Serve the direct and conservative forces of one model to i-PI.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

for command in (analyze, check, tune, validate, distill):
    app.command()(command)


@app.command()
def run(
    what: Annotated[
        str, typer.Argument(help="An i-PI input file, or the name of a scenario to copy here.")
    ] = "water_nvt_mts",
    steps: Annotated[int | None, typer.Option(help="Steps to do, instead of the XML's.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Go on from RESTART.")] = False,
    driver_only: Annotated[
        bool, typer.Option("--driver-only", help="Start the driver, not i-PI.")
    ] = False,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
    wait: WaitOption = 60.0,
) -> None:
    """Run i-PI and the driver on an input or on a scenario."""
    from rich.console import Console

    from halfkick.driver.run import launch
    from halfkick.driver.run.processes import Machine

    path = Path(what)
    if not path.suffix and not path.exists():
        path = launch.copy_scenario(what, Path.cwd()) / "input.xml"
    machine = Machine(device, dtype, threads, wait)
    code = launch.run(
        path, machine, Console(), steps=steps, restart=restart, driver_only=driver_only
    )
    raise typer.Exit(code)


@app.command()
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
        int | None, typer.Option(help="Connections to each address; default: as the XML needs.")
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
) -> None:
    """Serve force fields to an i-PI that is started elsewhere."""
    from halfkick.driver.config import ConfigError, Input, collect, read_input
    from halfkick.driver.serve import ServeOptions, Server
    from halfkick.driver.threads import settle
    from halfkick.models.load import load_model

    logging.getLogger("halfkick").setLevel(logging.INFO)
    addresses = {"unix": unix or [], "shm": shm or [], "inet": inet or []}
    if input_xml is None and not any(addresses.values()):
        raise ConfigError(
            "expected an i-PI input file, --unix NAME, --shm NAME or --inet HOST:PORT"
        )
    source = Input() if input_xml is None else read_input(input_xml)
    endpoints = collect(source, addresses, prefix, connections)
    settle(threads)
    server = Server(
        endpoints,
        lambda spec: load_model(spec, device=device, dtype=dtype),
        ServeOptions(wait, source, report, journal, journal_stride, allow_outside),
    )
    server.run()


@app.command()
def watch(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or its input file.")] = Path(),
    once: Annotated[bool, typer.Option("--once", help="Look once.")] = False,
) -> None:
    """Show how a run goes that was started elsewhere."""
    from rich.console import Console

    from halfkick.driver.run.watch import watch as show

    show(run, Console(), once=once)


@app.command()
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


@app.command()
def bench(
    input_xml: Annotated[
        Path | None,
        typer.Argument(help="An i-PI input with both force fields; default: the water scenario."),
    ] = None,
    beads: Annotated[str | None, typer.Option(help="Numbers of beads, such as 1,8,32.")] = None,
    atoms: Annotated[
        str | None, typer.Option(help="Numbers of atoms, in multiples of the template's.")
    ] = None,
    modes: Annotated[str, typer.Option(help="Of conservative,direct,mts.")] = (
        "conservative,direct,mts"
    ),
    stride: Annotated[int | None, typer.Option(help="Inner steps in an outer step.")] = None,
    repeats: Annotated[int, typer.Option(help="How often to measure each.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="One short measurement of each.")] = False,
    in_a_row: Annotated[
        int, typer.Option(help="Outer steps that halfkick then does alone, to find stalls.")
    ] = 0,
    out: Annotated[Path, typer.Option(help="Where to leave bench.json and bench.png.")] = Path(),
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
) -> None:
    """Time halfkick against i-PI's own drivers, on the same input and in one run."""
    from rich.console import Console

    from halfkick.driver.bench.command import bench as run_bench
    from halfkick.driver.bench.command import read_options
    from halfkick.driver.threads import settle

    settle(threads)
    options = read_options(input_xml, modes, beads, atoms, repeats, quick, in_a_row)
    run_bench(input_xml, stride, options, device, threads, out, Console())


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="Labelled frames that ASE reads (extended xyz).")],
    out: Annotated[Path, typer.Option(help="The model to write.")] = Path("model.pt"),
    held_out: Annotated[
        Path | None, typer.Option("--test", help="Frames for the final errors; default: a tenth.")
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="hybrid, conservative, direct, or alignment (with --start).")
    ] = "hybrid",
    size: Annotated[str, typer.Option(help="xs, s or m.")] = "s",
    minutes: Annotated[float | None, typer.Option(help="For all stages; default: 60.")] = None,
    epochs: Annotated[int | None, typer.Option(help="For all stages, instead of minutes.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Frames per step.")] = None,
    cutoff: Annotated[float, typer.Option(help="Å, of one message-passing layer.")] = 4.5,
    learning_rate: Annotated[float, typer.Option(help="The highest one.")] = 5e-3,
    temperature: Annotated[float, typer.Option(help="K, of the model's own dynamics.")] = 300.0,
    start: Annotated[
        str | None, typer.Option(help="What to continue from: a .ckpt, or water.")
    ] = None,
    energy_key: Annotated[str | None, typer.Option(help="Name of the energies.")] = None,
    forces_key: Annotated[str | None, typer.Option(help="Name of the forces.")] = None,
    stress_key: Annotated[
        str | None, typer.Option(help="Name of the stresses or virials; none: leave them out.")
    ] = None,
    max_force: Annotated[float, typer.Option(help="eV/Å; larger ones are refused.")] = 100.0,
    trust_units: Annotated[bool, typer.Option("--trust-units", help="Skip that check.")] = False,
    seed: Annotated[int, typer.Option()] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    threads: ThreadsOption = None,
    work: Annotated[Path | None, typer.Option(help="Folder of the state, kept.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model.")] = False,
) -> None:
    """Train a model with direct and conservative forces on labelled frames."""
    from rich.console import Console

    from halfkick.models.load import find_checkpoint
    from halfkick.models.train import TrainOptions
    from halfkick.models.train import train as run_training

    options = TrainOptions(
        recipe=recipe, size=size, seed=seed, minutes=minutes, epochs=epochs,
        start=None if start is None else find_checkpoint(start), batch_size=batch_size,
        device=device, threads=threads, cutoff=cutoff, learning_rate=learning_rate,
        energy_key=energy_key, forces_key=forces_key, stress_key=stress_key,
        max_force=max_force, trust_units=trust_units, temperature_K=temperature,
    )  # fmt: skip
    console = Console()
    card = run_training(
        data, out, options, held_out=held_out, work=work, overwrite=overwrite, console=console
    )
    console.print("\n".join(card.tables()), f"\n{out.with_suffix('.card.md')} tells more.")


@app.callback()
def version() -> None:
    """Serve the direct and conservative forces of one model to i-PI."""


def set_threads(threads: int | None) -> None:
    """Bound torch's threads before a model is loaded."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def main() -> None:
    """Run the command; whatever a user can mend ends in one line and exit code 2 (3: a guard)."""
    from halfkick.driver.config import ConfigError
    from halfkick.driver.guards.guard import GuardError
    from halfkick.driver.wire.protocol import ProtocolError
    from halfkick.models.base import ModelError

    logging.basicConfig(format="halfkick: %(message)s", level=logging.WARNING, stream=sys.stderr)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except GuardError as error:
        print(f"halfkick: stopped: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(3) from None
    except (ConfigError, ModelError, ProtocolError) as error:
        print(f"halfkick: error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        if error.errno not in OUTSIDE:
            raise
        print(f"halfkick: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None


def _terminate(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
