"""Short runs over strides and inner steps: which of them hold, and which of those is fastest."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ....models.base import Role
from ....models.check.heating import predict_drifts
from ....models.check.modes import Block, stiff_block, stiffest, stride_growth
from ....models.check.probe import Probe
from ....models.frames import structure_of
from ....models.pair import Pair
from ...errors import InputError
from ...ipi.mts_input import MtsInput, RunSettings
from ...ipi.trajectories import labels_of_frame
from ...run.runner import Runner, state_after
from ..analysis.run_data import Run, open_run
from .result import DriftPrediction, StrideResult, evaluate_stride

__all__ = ["TuneOptions", "best", "equilibrate", "tune", "write_json"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TuneOptions:
    """What to try.

    Attributes:
        strides: M.
        inner_fs: inner steps; empty for the input's own.
        seeds: runs of each setting, with velocities of their own.
        ps: length of each.
        equilibrate_ps: before all of them, at the input's temperature.
        limit: of the drift that is accepted, meV/atom/ps.
        frames: of each run at which the configurational temperature is taken; 0 for none.
    """

    strides: Sequence[int] = (1, 2, 4, 6, 8)
    inner_fs: Sequence[float] = ()
    seeds: int = 2
    ps: float = 0.5
    equilibrate_ps: float = 0.2
    limit: float = 0.5
    frames: int = 4


def tune(
    source: MtsInput, folder: Path, pair: Pair, options: TuneOptions, run: Runner
) -> Iterator[StrideResult]:
    """Equilibrate, then run all settings one after the other; yields each as it is known.

    Args:
        source: the input.
        folder: for the runs; what has been run there already is not run again.
        pair: the input's models.
        options: what to try.
        run: runs an input.

    Raises:
        RunError: if the equilibration fails.
    """
    inner_steps = options.inner_fs or (source.inner_fs,)
    settings = RunSettings(
        "mts", min(inner_steps), options.equilibrate_ps, stride=min(options.strides),
        ensemble="svr", every=1,
    )  # fmt: skip
    start = equilibrate(source, settings, folder / "start", run)
    first = open_run(folder / "start")
    frames = first.positions()
    species = sorted(set(labels_of_frame(frames[-1])))
    late = frames[: len(frames) // 2 : -1] or frames[-1:]
    probes = [Probe(pair, structure_of(f, "frames"), f.get_masses()) for f in late]
    both = len(pair.capabilities.roles) == len(Role)
    blocks = [stiff_block(probes[0], stiffest(probes[0])[1])] if both else []
    for inner in inner_steps:
        foreseen = _predict_drifts(probes, blocks, inner, options, first.target_K) if both else {}
        for stride in options.strides:
            planned = [
                RunSettings(
                    "mts", inner, options.ps, stride=stride, seed=seed, every=1, gap=seed == 1
                )
                for seed in range(1, options.seeds + 1)
            ]
            runs = []
            for settings in planned:
                place = folder / f"inner{inner:g}_M{stride}_seed{settings.seed}"
                xml = source.write(settings, place, start=start, species=species)
                runs.append(_run(xml, settings, run))
            yield evaluate_stride(
                inner, stride, runs, pair,
                frames=options.frames, limit=options.limit, foreseen=foreseen.get(stride),
            )  # fmt: skip


def _predict_drifts(
    probes: Sequence[Probe],
    blocks: Sequence[Block],
    inner: float,
    options: TuneOptions,
    kelvin: float,
) -> dict[int, DriftPrediction]:
    """What theory says of each stride."""
    growth = stride_growth(blocks, inner, options.strides)
    drifts, found = predict_drifts(probes, inner, options.strides, temperature_K=kelvin)
    atoms = probes[0].shape[0]
    return {
        stride: DriftPrediction(drifts[stride].rms(atoms, found, options.ps), rate)
        for stride, rate in zip(options.strides, growth, strict=True)
        if stride in drifts
    }


def equilibrate(source: MtsInput, settings: RunSettings, folder: Path, run: Runner) -> Path:
    """Run a simulation, unless that has been done, and return its RESTART.

    Raises:
        RunError: if it does not end well.
    """
    return state_after(source.write(settings, folder), run)


def best(rows: Sequence[StrideResult]) -> StrideResult | None:
    """The fastest that holds with all shorter strides at its inner step; ``None`` if none does."""
    failed: dict[float, int] = {}
    for row in rows:
        if not row.holds:
            failed[row.inner_fs] = min(row.stride, failed.get(row.inner_fs, row.stride))
    held = [r for r in rows if r.holds and r.stride < failed.get(r.inner_fs, r.stride + 1)]
    return min(held, key=lambda r: (r.ms_per_ps or 0.0, -r.stride), default=None)


def write_json(rows: Sequence[StrideResult], path: Path) -> None:
    """Write all rows."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


def _run(xml: Path, settings: RunSettings, run: Runner) -> Run | None:
    """The run, or ``None`` if it did not reach its end with finite numbers."""
    code = run(xml)
    try:
        done = open_run(xml)
    except InputError:
        return None
    finite = all(np.isfinite(column).all() for column in done.columns.values())
    whole = done.columns["step"][-1] >= settings.steps
    if code != 0 or not finite or not whole:
        log.warning("%s ended early", xml.parent.name)
        return None
    return done
