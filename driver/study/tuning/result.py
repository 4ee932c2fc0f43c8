"""What became of one stride in the runs of ``halfkick tune``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from ase.units import kB
from numpy.typing import NDArray

from ....models.base import Role
from ....models.check.probe import Probe
from ....models.pair import Pair
from ..analysis.forces import structure_of
from ..analysis.motion import autocorrelation
from ..analysis.observables import average
from ..analysis.run_data import Frames, Run
from ..analysis.thermo import drift

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Foreseen", "Row", "configurational", "correlation_time", "measure"]


@dataclass(frozen=True)
class Foreseen:
    """What theory says of one stride.

    Attributes:
        rms_drift: of runs of that length, meV/atom/ps, from the work of the gap.
        growth_per_ps: of the worst stiff amplitude in the linearized system.
    """

    rms_drift: float
    growth_per_ps: float


@dataclass(frozen=True)
class Row:
    """What became of one stride.

    Attributes:
        drifts: of each seed, meV/atom/ps; NaN for a run that ended early.
        drift_error: standard error of their mean.
        temperatures: species -> mean, K.
        configurational_K: temperature by ``<|∇U|²> / <∇²U>``.
        gap_meV_per_A: RMS of conservative - direct force at the outer steps.
        gap_fs: its integrated autocorrelation time.
        ms_per_ps: wall time for 1 ps, in ms.
        foreseen: by theory; ``None`` without both forces.
        holds: whether no run ended early and the RMS drift is within the limit.
    """

    inner_fs: float
    stride: int
    drifts: list[float]
    drift_error: float | None
    temperatures: dict[str, float] = field(default_factory=dict)
    configurational_K: float | None = None  # noqa: N815
    gap_meV_per_A: float | None = None  # noqa: N815
    gap_fs: float | None = None
    ms_per_ps: float | None = None
    foreseen: Foreseen | None = None
    holds: bool = False

    @property
    def rms_drift(self) -> float:
        """RMS over the seeds; infinite if one did not reach the end."""
        value = float(np.sqrt(np.mean(np.square(self.drifts))))
        return value if np.isfinite(value) else float("inf")


def measure(
    inner: float,
    stride: int,
    runs: Sequence[Run | None],
    pair: Pair,
    *,
    frames: int,
    limit: float,
    foreseen: Foreseen | None,
) -> Row:
    """Take all figures of the runs of one setting.

    Args:
        inner: inner step, fs.
        stride: M.
        runs: of each seed; ``None`` for one that ended early.
        pair: the models.
        frames: of each run at which the configurational temperature is taken.
        limit: of the drift, meV/atom/ps.
        foreseen: what theory says.
    """
    ended = [run for run in runs if run is not None]
    slopes = [drift(run)[0] for run in ended]
    drifts = [s.value for s in slopes] + [float("nan")] * (len(runs) - len(ended))
    error = None
    if len(slopes) > 1:
        error = float(np.std([s.value for s in slopes], ddof=1) / np.sqrt(len(slopes)))
    elif slopes:
        error = slopes[0].error
    row = Row(inner, stride, drifts, error, foreseen=foreseen)
    if not ended:
        return row
    gap = _gap(ended[0])
    known = gap is not None
    return Row(
        inner,
        stride,
        drifts,
        error,
        temperatures=_temperatures(ended),
        configurational_K=configurational(pair, _some(ended, frames)),
        gap_meV_per_A=1e3 * float(np.sqrt(np.mean(gap**2))) if known else None,
        gap_fs=correlation_time(gap, 1e3 * ended[0].timestep_ps) if known else None,
        ms_per_ps=_pace(ended),
        foreseen=foreseen,
        holds=row.rms_drift <= limit,
    )


def _temperatures(runs: Sequence[Run]) -> dict[str, float]:
    names = [name for name in runs[0].columns if name.startswith("temperature(")]
    return {
        name[12:-1]: float(np.mean([average(name, "K", r.columns[name]).value for r in runs]))
        for name in names
    }


def configurational(
    pair: Pair, frames: Sequence[Atoms], directions: int = 1, seed: int = 0
) -> float | None:
    """``<|∇U|²> / k <∇²U>`` (K), the Laplacian along random directions at each frame (Hutchinson).

    ``None`` without frames or conservative forces.
    """
    role = Role.CONSERVATIVE
    if not frames or role not in pair.capabilities.roles:
        return None
    rng = np.random.default_rng(seed)
    squares, laplacians = [], []
    for frame in frames:
        probe = Probe(pair, structure_of(frame))
        squares.append((probe.served(probe.structure)[role] ** 2).sum())
        for sign in rng.choice([-1.0, 1.0], size=(directions, *probe.shape)):
            laplacians.append(-(sign * probe.derivative(sign)[role]).sum())
    return float(np.mean(squares) / (kB * np.mean(laplacians)))


def correlation_time(series: NDArray[np.float64], step: float) -> float | None:
    """Integral of the autocorrelation until it first falls to zero; series (frames, n)."""
    if len(series) < 4:
        return None
    correlation = autocorrelation(series, len(series) // 2)
    below = np.flatnonzero(correlation <= 0.0)
    until = below[0] if len(below) else len(correlation)
    return step * (0.5 + float(correlation[1:until].sum()))


def _some(runs: Sequence[Run], count: int) -> list[Atoms]:
    """So many frames of each run, evenly spread."""
    if not count:
        return []
    beads = [run.frames("positions").beads[0] for run in runs]
    return [b[i] for b in beads for i in np.unique(np.linspace(0, len(b) - 1, count).astype(int))]


def _gap(run: Run) -> NDArray[np.float64] | None:
    """Conservative minus direct force of each frame, eV/Å, shape (frames, 3N)."""
    both = [run.frames(f"forces_component_raw({k})") for k in (0, 1)]
    if both[0] is None or both[1] is None:
        return None
    first, second = (_component(frames) for frames in both)
    return (first - second).reshape(len(first), -1)


def _component(frames: Frames) -> NDArray[np.float64]:
    """The forces of a trajectory, under whatever name i-PI gave them."""
    known = {"numbers", "positions"}
    name = next(name for name in frames.beads[0][0].arrays if name not in known)
    return frames.array(name)


def _pace(runs: Sequence[Run]) -> float | None:
    """Wall time for 1 ps in ms, from the runs' summaries."""
    paces = []
    for run in runs:
        summary = json.loads(run.job.files.summary.read_text())
        if summary["ms_per_inner_step"] is not None:
            inner_ps = run.timestep_ps / run.job.inner_steps
            paces.append(summary["ms_per_inner_step"] / inner_ps)
    return float(np.mean(paces)) if paces else None
