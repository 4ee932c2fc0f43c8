"""The whole of ``halfkick tune``: short runs, their results, a plot and a better input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...ipi.mts_input import MtsInput
from ...run.job import describe
from ...run.processes import Machine
from ...run.runner import quiet_runner
from ..analysis.forces import load_pair
from .plot import draw_strides
from .result import StrideResult
from .tune import TuneOptions, best, tune, write_json

__all__ = ["Tuning", "find_stride"]


@dataclass(frozen=True)
class Tuning:
    """What came of it.

    Attributes:
        results: of all settings.
        chosen: the fastest that holds; ``None`` if none does.
        recommended: the input with those steps; ``None`` if none holds.
    """

    results: list[StrideResult]
    chosen: StrideResult | None
    recommended: Path | None


def find_stride(
    input_xml: Path,
    out: Path,
    options: TuneOptions,
    machine: Machine,
    log: Callable[[str], None] = lambda _: None,
) -> Tuning:
    """Find the stride that an input bears.

    Args:
        input_xml: i-PI's input, with ``<nmts> [1, M]``.
        out: folder for the runs, ``tune.json``, ``tune.png`` and ``recommended.xml``; what has been
            run there already is not run again.
        options: what to try.
        machine: where the model runs.
        log: told each result.

    Raises:
        InputError: if the input is another kind of calculation.
        RunError: if the equilibration fails.
        ModelError: if the model cannot be used.
    """
    job = describe(input_xml)
    source = MtsInput(job.source)
    pair = load_pair(job.sockets, job.folder, machine.device, machine.dtype)
    results: list[StrideResult] = []
    for result in tune(source, out, pair, options, quiet_runner(machine)):
        results.append(result)
        write_json(results, out / "tune.json")
        log(f"{result.inner_fs:g} fs, M = {result.stride}: RMS drift {result.rms_drift:.3g}")
    chosen = best(results)
    draw_strides(results, options.limit, chosen, out / "tune.png")
    if chosen is None:
        return Tuning(results, None, None)
    path = source.recommended(chosen.inner_fs, chosen.stride).write(out / "recommended.xml")
    return Tuning(results, chosen, path)
