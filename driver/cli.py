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

DeviceOption = Annotated[str, typer.Option(help="cpu, cuda or cuda:N; several: cuda:0,cuda:1.")]
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
        ServeOptions(wait, source, report, allow_outside),
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


@app.command()
def analyze(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or input files.")],
    out: Annotated[Path, typer.Option(help="The report to write.")] = Path("analysis.html"),
    json: Annotated[Path | None, typer.Option(help="Write all figures as JSON.")] = None,
    skip: Annotated[float, typer.Option(help="Leave out the first ps.", min=0.0)] = 0.0,
    frames: Annotated[
        int, typer.Option(help="Frames of the first run to show with both forces.", min=0)
    ] = 20,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
) -> None:
    """Analyse runs: drift, temperatures, structure, vibrations, diffusion, and how they differ."""
    from rich.console import Console
    from rich.table import Table

    from halfkick.driver.diagnose.analyze import analyze, html
    from halfkick.driver.diagnose.outputs import open_run

    set_threads(threads)
    report = analyze([open_run(run, skip_ps=skip) for run in runs], frames=frames, device=device)
    out.write_text(html(report), encoding="utf-8")
    table = Table("", "unit", *(analysis.run.label for analysis in report.analyses))
    for row in report.rows():
        table.add_row(*row)
    Console().print(table, highlight=False)
    if json is not None:
        json.write_text(report.to_json() + "\n")


@app.command()
def bench(
    input_xml: Annotated[
        Path | None,
        typer.Argument(help="An i-PI input with both force fields; default: the water scenario."),
    ] = None,
    beads: Annotated[str, typer.Option(help="Numbers of beads.")] = "1,8",
    atoms: Annotated[
        str | None, typer.Option(help="Numbers of atoms, in multiples of the template's.")
    ] = None,
    modes: Annotated[str, typer.Option(help="Of conservative,direct,mts.")] = (
        "conservative,direct,mts"
    ),
    stride: Annotated[int | None, typer.Option(help="Inner steps in an outer step.")] = None,
    repeats: Annotated[int, typer.Option(help="How often to measure each.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="One short measurement of each.")] = False,
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
    options = read_options(input_xml, modes, beads, atoms, repeats, quick)
    run_bench(input_xml, stride, options, device, threads, out, Console())


@app.command()
def distill(
    teacher: Annotated[str, typer.Argument(help="The potential to distil: so3lr, FILE.pt, …")],
    structures: Annotated[list[Path], typer.Argument(help="Files of structures to begin from.")],
    out: Annotated[Path, typer.Option(help="The student to write.")] = Path("student.pt"),
    surrogate: Annotated[
        str | None, typer.Option(help="A cheaper model, which samples before there is a student.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Frames that the teacher has labelled before.")
    ] = None,
    conservative: Annotated[
        bool, typer.Option("--conservative", help="A student with an energy, not direct forces.")
    ] = False,
    quantum: Annotated[
        bool, typer.Option("--quantum", help="Sample ring polymers of 8 beads.")
    ] = False,
    size: Annotated[str | None, typer.Option(help="Of the network: xs, s or m.")] = None,
    temperature: Annotated[
        list[float] | None, typer.Option(help="K; may be given several times; 300 and 500.")
    ] = None,
    strain: Annotated[float, typer.Option(help="Largest strain of periodic cells.")] = 0.03,
    timestep: Annotated[float, typer.Option(help="Inner step of the dynamics, fs.")] = 0.5,
    stride: Annotated[int, typer.Option(help="Inner steps between two corrections.")] = 4,
    frames: Annotated[int, typer.Option(help="Frames to teach in each round.")] = 200,
    rounds: Annotated[int, typer.Option(help="Trainings at most.")] = 4,
    minutes: Annotated[float, typer.Option(help="Wall time at most.")] = 60.0,
    gap: Annotated[float, typer.Option(help="meV/Å; small enough on fresh frames.")] = 0.0,
    epochs: Annotated[int | None, typer.Option(help="Of each training at most.")] = None,
    work: Annotated[Path | None, typer.Option(help="Folder to work in.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
) -> None:
    """Teach a small, fast model the forces of any potential; repeated, it goes on."""
    from halfkick.models.distill import DistillOptions
    from halfkick.models.distill import distill as start

    logging.getLogger("halfkick.models.distill").setLevel(logging.INFO)
    set_threads(threads)
    options = DistillOptions(
        conservative=conservative,
        size=size,
        temperatures_K=tuple(temperature or DistillOptions.temperatures_K),
        strain=strain,
        beads=8 if quantum else 1,
        timestep_fs=timestep,
        stride=stride,
        frames=frames,
        rounds=rounds,
        minutes=minutes,
        gap=gap,
        epochs=epochs,
        seed=seed,
    )
    start(
        teacher,
        structures,
        out,
        options,
        surrogate=surrogate,
        labels=labels,
        work=work,
        device=device,
        threads=threads,
    )
    print(out.with_suffix(".card.md").read_text())


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="Labelled frames that ASE reads (extended xyz).")],
    out: Annotated[Path, typer.Option(help="The model to write.")] = Path("model.pt"),
    held_out: Annotated[
        Path | None, typer.Option("--test", help="Frames for the final errors; default: a tenth.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="hybrid, conservative or direct.")] = "hybrid",
    size: Annotated[str, typer.Option(help="xs, s or m.")] = "s",
    minutes: Annotated[float | None, typer.Option(help="For all stages; default: 60.")] = None,
    epochs: Annotated[int | None, typer.Option(help="For all stages, instead of minutes.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Frames per step.")] = None,
    cutoff: Annotated[float, typer.Option(help="Å, of one message-passing layer.")] = 4.5,
    learning_rate: Annotated[float, typer.Option(help="The highest one.")] = 2e-3,
    temperature: Annotated[float, typer.Option(help="K, of the model's own dynamics.")] = 300.0,
    start: Annotated[Path | None, typer.Option(help="A .ckpt to continue from.")] = None,
    energy_key: Annotated[str | None, typer.Option(help="Name of the energies.")] = None,
    forces_key: Annotated[str | None, typer.Option(help="Name of the forces.")] = None,
    stress_key: Annotated[
        str | None, typer.Option(help="Name of the stresses or virials; none: leave them out.")
    ] = None,
    max_force: Annotated[float, typer.Option(help="eV/Å; larger ones are refused.")] = 100.0,
    trust_units: Annotated[bool, typer.Option("--trust-units", help="Skip that check.")] = False,
    seed: Annotated[int, typer.Option()] = 0,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    work: Annotated[Path | None, typer.Option(help="Folder of the state, kept.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model.")] = False,
) -> None:
    """Train a model with direct and conservative forces on labelled frames."""
    from rich.console import Console

    from halfkick.models.train import TrainOptions
    from halfkick.models.train import train as run_training

    options = TrainOptions(
        recipe=recipe, size=size, seed=seed, minutes=minutes, epochs=epochs, start=start,
        batch_size=batch_size, device=device, threads=threads, cutoff=cutoff,
        learning_rate=learning_rate, energy_key=energy_key, forces_key=forces_key,
        stress_key=stress_key, max_force=max_force, trust_units=trust_units,
        temperature_K=temperature,
    )  # fmt: skip
    console = Console()
    card = run_training(
        data, out, options, held_out=held_out, work=work, overwrite=overwrite, console=console
    )
    console.print("\n".join(card.tables()), f"\n{out.with_suffix('.card.md')} tells more.")


@app.command()
def tune(
    input_xml: Annotated[Path, typer.Argument(help="An i-PI input with <nmts> [1, M].")],
    strides: Annotated[list[int] | None, typer.Option(help="M; give it several times.")] = None,
    inner: Annotated[list[float] | None, typer.Option(help="Inner step, fs; likewise.")] = None,
    ps: Annotated[float, typer.Option(help="Length of each run.")] = 0.5,
    seeds: Annotated[int, typer.Option(help="Runs of each setting.", min=1)] = 2,
    equilibrate: Annotated[float, typer.Option(help="ps before all of them.")] = 0.2,
    limit: Annotated[float, typer.Option(help="Drift to accept, meV/atom/ps.")] = 0.5,
    out: Annotated[Path, typer.Option(help="Folder for the runs and results.")] = Path("tune"),
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Find the stride: short runs at constant energy, a picture with the knee, a better input."""
    from rich.console import Console

    from halfkick.driver.diagnose import knee
    from halfkick.driver.diagnose import tune as tuning
    from halfkick.driver.diagnose.forces import load_pair
    from halfkick.driver.diagnose.runner import quiet_runner
    from halfkick.driver.diagnose.variants import Template, recommended
    from halfkick.driver.run.job import describe

    set_threads(threads)
    template, pair = Template(input_xml), load_pair(describe(input_xml), device, dtype)
    defaults = tuning.Options()
    options = tuning.Options(
        strides or defaults.strides, inner or (), seeds, ps, equilibrate, limit, defaults.frames
    )
    console, rows = Console(), []
    runner = quiet_runner(threads=threads, device=device, dtype=dtype)
    for row in tuning.tune(template, out, pair, options, runner):
        rows.append(row)
        tuning.write_json(rows, out / "tune.json")
        console.print(f"{row.inner_fs:g} fs, M = {row.stride}: RMS drift {row.rms_drift:.3g}")
    chosen = tuning.best(rows)
    knee.draw(rows, limit, chosen, out / "tune.png")
    console.print(knee.table(rows), highlight=False)
    if chosen is None:
        console.print(f"no stride holds the drift below {limit:g} meV/atom/ps")
        raise typer.Exit(1)
    path = out / "recommended.xml"
    path.write_text(recommended(template, chosen.inner_fs, chosen.stride))
    console.print(f"recommended: {chosen.inner_fs:g} fs, M = {chosen.stride}; see {path}")


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
