"""The command ``halfkick``; the only place that prints."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="halfkick",
    help="Serve the direct and conservative forces of one model to i-PI.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, or cuda:N.")]
DtypeOption = Annotated[
    str | None, typer.Option(help="float32 or float64; default: as the model was made.")
]
WaitOption = Annotated[float, typer.Option(help="Seconds to wait for i-PI.")]
ThreadsOption = Annotated[int | None, typer.Option(help="CPU threads for the model.")]


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

    path = Path(what)
    if not path.suffix and not path.exists():
        path = launch.copy_scenario(what, Path.cwd()) / "input.xml"
    code = launch.run(
        path,
        steps=steps,
        restart=restart,
        driver_only=driver_only,
        threads=threads,
        device=device,
        dtype=dtype,
        wait=wait,
        console=Console(),
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
) -> None:
    """Serve force fields to an i-PI that is started elsewhere."""
    from halfkick.driver.config import ConfigError, Input, collect, read_input
    from halfkick.driver.serve import ServeOptions, Server
    from halfkick.models.load import load_model

    logging.getLogger("halfkick").setLevel(logging.INFO)
    addresses = {"unix": unix or [], "shm": shm or [], "inet": inet or []}
    if input_xml is None and not any(addresses.values()):
        raise ConfigError(
            "expected an i-PI input file, --unix NAME, --shm NAME or --inet HOST:PORT"
        )
    source = Input() if input_xml is None else read_input(input_xml)
    endpoints = collect(source, addresses, prefix, connections)
    set_threads(threads)
    server = Server(
        endpoints,
        lambda spec: load_model(spec, device=device, dtype=dtype),
        ServeOptions(wait, source, report),
    )
    server.run()


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
def check(
    model: Annotated[str, typer.Argument(help="A model, named as in <parameters> model.")],
    structure: Annotated[str, typer.Argument(help="FILE (last frame), FILE@INDEX or FILE@:.")],
    probes: Annotated[int, typer.Option(help="Random directions for the curl.", min=3)] = 12,
    json: Annotated[Path | None, typer.Option(help="Write all figures as JSON.")] = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Measure a model's two forces and the gap between them; recommend a step and a stride."""
    from rich.console import Console

    from halfkick.models.check.report import check, read_structures
    from halfkick.models.check.tables import tables
    from halfkick.models.load import load_model

    set_threads(threads)
    structures = read_structures(structure)
    loaded = load_model(model, device=device, dtype=dtype)
    console = Console()
    with console.status("") as status:
        report = check(loaded, structures, probes=probes, say=status.update)
    for table in tables(report):
        console.print(table, highlight=False)
    if json is not None:
        json.write_text(report.to_json() + "\n")


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
    from halfkick.driver.guard import GuardError
    from halfkick.driver.protocol import ProtocolError
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
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None


def _terminate(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
