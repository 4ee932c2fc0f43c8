"""``halfkick bench``: measures, prints the table, writes ``bench.json`` and ``bench.png``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ....models.load import load_model
from ....models.registry import kind_of
from ....models.spec import ModelSpec
from ...errors import InputError
from ...ipi.input import IpiInput
from ...run.processes import Machine
from .inputs import MODES, Base
from .measure import measure
from .plot import draw_shares
from .ratios import compute_ratios
from .results import BenchOptions, BenchResults, Statistics

__all__ = ["bench", "read_options"]

STRIDE = 8  # of the comparison with i-PI's own drivers, where no input says otherwise
CHUNK_SIZE = 64  # more than is ever timed in one pass


def bench(
    input_xml: Path | None,
    stride: int | None,
    options: BenchOptions,
    machine: Machine,
    out: Path,
    console: Console,
) -> BenchResults:
    """Measure, print the results, and leave them in the folder ``out``.

    Args:
        input_xml: an input with both force fields of one model; ``None`` for liquid water.
        stride: inner steps in an outer step; ``None`` for the input's.
        options: what to time.
        machine: device and threads of the model.
        out: for ``bench.json`` and ``bench.png``.
        console: for progress and tables.

    Raises:
        InputError: if the input is not one that can be compared.
        ModelError: if its model cannot be used.
    """
    base = Base(input_xml, stride or (None if input_xml else STRIDE))
    model = load_model(in_one_pass(base.model), device=machine.device)
    out.mkdir(parents=True, exist_ok=True)

    def keep(results: BenchResults) -> None:
        results.write(out / "bench.json", compute_ratios(results))

    with progress_log(console) as log:
        results = measure(base, model, options, machine, log, keep)
    draw_shares(results, out / "bench.png")
    print_results(results, console)
    return results


@contextmanager
def progress_log(console: Console) -> Iterator[Callable[[str], None]]:
    """Shows what is being done: in place on a terminal, else line by line on standard error."""
    if console.is_terminal:
        with console.status("") as status:
            yield status.update
    else:
        yield partial(print, file=sys.stderr, flush=True)


def read_options(
    input_xml: Path | None,
    modes: str,
    beads: str | None,
    atoms: str | None,
    repeats: int,
    quick: bool,
    consecutive_steps: int = 0,
) -> BenchOptions:
    """Options from the command line; InputError if they are none.

    What is left out is the input's; without an input 1 and 8 beads and up to 6144 atoms.
    """
    chosen = tuple(filter(None, modes.split(",")))
    if not chosen or set(chosen) - set(MODES):
        raise InputError(f"expected --modes of {','.join(MODES)}, got '{modes}'")
    full = input_xml is None and not quick
    if beads is None:
        beads = "1,8" if full else str(IpiInput.read(input_xml).replicas if input_xml else 1)
    if atoms is None and full:
        atoms = "192,6144"
    return BenchOptions(
        modes=chosen,
        beads=parse_numbers("beads", beads),
        atoms=None if atoms is None else parse_numbers("atoms", atoms),
        repeats=1 if quick else repeats,
        seconds=0.3 if quick else 1.5,
        consecutive_steps=consecutive_steps,
    )


def parse_numbers(name: str, text: str) -> tuple[int, ...]:
    """Read ``1,8,32``; InputError if it is something else."""
    try:
        values = tuple(int(item) for item in text.split(","))
    except ValueError:
        values = ()
    if not values or min(values) < 1:
        raise InputError(f"expected --{name} as positive numbers like 1,8, got '{text}'")
    return values


def in_one_pass(model: str) -> str:
    """The name of a metatomic model with an option not to cut batches; others as they are."""
    spec = ModelSpec.parse(model)
    cuts = "chunk" in (kind_of(spec).options or ())
    return str(spec.with_options(chunk=CHUNK_SIZE)) if cuts else model


def print_results(results: BenchResults, console: Console) -> None:
    """Print all times and the ratios between them."""
    for setup, times in results.times.items():
        title = f"{setup.mode}, {setup.beads} bead(s), {setup.atoms} atoms"
        table = Table("", "median", "quartiles", "n", title=f"{title}: ms", title_justify="left")
        for name, values in times.items():
            s = Statistics.of(values)
            table.add_row(name, f"{s.median:.4g}", f"{s.low:.4g} … {s.high:.4g}", str(s.count))
        console.print(table)
    table = Table("figure", "", title="of this run", title_justify="left")
    for name, value in compute_ratios(results).items():
        table.add_row(name, f"{value:.3g}")
    console.print(table)
