"""The commands ``check``, ``analyze``, ``tune`` and ``validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from halfkick.driver.options import DeviceOption, DtypeOption, ThreadsOption

__all__ = ["analyze", "check", "tune", "validate"]

JsonOption = Annotated[Path | None, typer.Option(help="Write all figures as JSON.")]


def check(
    model: Annotated[str, typer.Argument(help="A model, named as in <parameters> model.")],
    structure: Annotated[str, typer.Argument(help="FILE (last frame), FILE@INDEX or FILE@:.")],
    direct: Annotated[
        str | None, typer.Option(help="Another model, whose direct forces to take.")
    ] = None,
    probes: Annotated[int, typer.Option(help="Random directions for the curl.", min=3)] = 12,
    dynamics: Annotated[
        int, typer.Option(help="Steps from each start, to foresee drifts; 0 for none.", min=0)
    ] = 600,
    temperature: Annotated[float, typer.Option(help="Of the dynamics, K.", min=1.0)] = 300.0,
    json: JsonOption = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Measure a model's two forces and the gap between them; recommend a step and a stride."""
    from rich.console import Console

    from halfkick.driver.threads import settle

    settle(threads)
    from halfkick.models.base import Role
    from halfkick.models.check.pair import Pair
    from halfkick.models.check.report import check, read_structures
    from halfkick.models.check.tables import tables
    from halfkick.models.load import load_model

    structures = read_structures(structure)
    loaded = load_model(model, device=device, dtype=dtype)
    if direct is not None:
        fast = load_model(direct, device=device, dtype=dtype)
        loaded = Pair({Role.CONSERVATIVE: loaded, Role.DIRECT: fast})
    console = Console()
    with console.status("") as status:
        report = check(
            loaded, structures, probes=probes, dynamics=dynamics, temperature_K=temperature,
            say=status.update,
        )  # fmt: skip
    for table in tables(report):
        console.print(table, highlight=False)
    if json is not None:
        json.write_text(report.to_json() + "\n")


def analyze(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or input files.")],
    out: Annotated[Path, typer.Option(help="The report to write.")] = Path("analysis.html"),
    json: JsonOption = None,
    skip: Annotated[float, typer.Option(help="Leave out the first ps.", min=0.0)] = 0.0,
    frames: Annotated[
        int, typer.Option(help="Frames of the first run to show with both forces.", min=0)
    ] = 20,
    pictures: Annotated[
        Path | None, typer.Option(help="A folder for the pictures, as PNG.", file_okay=False)
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
) -> None:
    """Analyse runs: drift, temperatures, structure, vibrations, diffusion, and how they differ."""
    from rich.console import Console
    from rich.table import Table

    from halfkick.driver.threads import settle

    settle(threads)
    from halfkick.driver.diagnose.analyze import analyze, html
    from halfkick.driver.diagnose.outputs import open_run

    report = analyze([open_run(run, skip_ps=skip) for run in runs], frames=frames, device=device)
    out.write_text(html(report), encoding="utf-8")
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        for name, png in report.pictures.items():
            (pictures / f"{name.replace(' ', '_')}.png").write_bytes(png)
    table = Table("", "unit", *(analysis.run.label for analysis in report.analyses))
    for row in report.rows():
        table.add_row(*row)
    Console().print(table, highlight=False)
    if json is not None:
        json.write_text(report.to_json() + "\n")


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

    from halfkick.driver.threads import settle

    settle(threads)
    from halfkick.driver.diagnose import knee
    from halfkick.driver.diagnose import tune as tuning
    from halfkick.driver.diagnose.forces import load_pair
    from halfkick.driver.diagnose.runner import quiet_runner
    from halfkick.driver.diagnose.variants import Template, recommended
    from halfkick.driver.run.job import describe
    from halfkick.driver.run.processes import Machine

    template, pair = Template(input_xml), load_pair(describe(input_xml), device, dtype)
    defaults = tuning.Options()
    options = tuning.Options(
        strides or defaults.strides, inner or (), seeds, ps, equilibrate, limit, defaults.frames
    )
    console, rows = Console(), []
    runner = quiet_runner(Machine(device, dtype, threads))
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


def validate(
    model: Annotated[str, typer.Option(help="Of water, named as in <parameters>.")] = "water",
    length: Annotated[float, typer.Option(help="ps of each run.")] = 5.0,
    molecules: Annotated[int, typer.Option(help="32, 64, 512, …")] = 32,
    equilibrate: Annotated[float, typer.Option(help="ps before all of them.")] = 1.0,
    ensemble: Annotated[
        list[str] | None, typer.Option(help="nve, svr or langevin; give it several times.")
    ] = None,
    optimise: Annotated[int, typer.Option(help="Most steps of an optimisation; 0: none.")] = 200,
    out: Annotated[Path, typer.Option(help="Folder for all of it.")] = Path("validate"),
    device: DeviceOption = "cpu",
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Show on water what direct forces do alone and what MTS makes of them; hours on a CPU."""
    from rich.console import Console
    from rich.table import Table

    from halfkick.driver.threads import settle

    settle(threads)
    from halfkick.driver.diagnose import validate as validation
    from halfkick.driver.diagnose.runner import quiet_runner
    from halfkick.driver.diagnose.verdicts import answer, verdicts
    from halfkick.driver.run.processes import Machine
    from halfkick.models.base import Role
    from halfkick.models.check.pair import Pair
    from halfkick.models.load import load_model

    chosen = tuple(ensemble or validation.TAU_FS)
    plan = validation.Plan(model, molecules, length, equilibrate, optimise, chosen)
    loaded = load_model(model, device=device, dtype=dtype)
    pair = Pair({role: loaded for role in Role})
    runner = quiet_runner(Machine(device, dtype, threads))
    console, done = Console(), []
    out.mkdir(parents=True, exist_ok=True)
    places = validation.simulate(plan, out, runner, console.print)
    if optimise:
        done = validation.geometries(plan, out, pair, runner, console.print)
    reports = validation.results(plan, places)
    judged = verdicts(reports, validation.targets(reports, pair), done)
    page = validation.html(plan, reports, judged, done)
    (out / "validate.html").write_text(page, encoding="utf-8")
    (out / "validate.json").write_text(validation.to_json(plan, reports, judged, done))
    table = Table("claim", "found", "")
    for verdict in judged:
        table.add_row(verdict.claim, verdict.found, answer(verdict))
    console.print(table, highlight=False)
    console.print(f"report: {out / 'validate.html'}")
