"""The result of one stride in the runs of ``halfkick tune``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from ase.units import kB
from numpy.typing import NDArray

from ....models.base import Role
from ....models.check.probe import Probe
from ....models.frames import structure_of
from ....models.pair import Pair
from ....models.statistics import rms
from ...errors import InputError
from ..analysis.motion import autocorrelation
from ..analysis.observables import Scalar, average
from ..analysis.run_data import Frames, Run
from ..analysis.thermo import drift, temperature_columns

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "DriftPrediction",
    "StrideResult",
    "configurational_temperature",
    "correlation_time",
    "evaluate_stride",
]


@dataclass(frozen=True)
class DriftPrediction:
    """What theory predicts for one stride.

    Attributes:
        rms_drift: of runs of that length, meV/atom/ps, from the work of the gap.
        growth_per_ps: of the worst stiff amplitude in the linearized system.
    """

    rms_drift: float
    growth_per_ps: float


@dataclass(frozen=True)
class StrideResult:
    """The result of one stride.

    Attributes:
        inner_fs: inner step.
        stride: M, inner steps in an outer step.
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
    configurational_K: float | None = None
    gap_meV_per_A: float | None = None
    gap_fs: float | None = None
    ms_per_ps: float | None = None
    foreseen: DriftPrediction | None = None
    holds: bool = False

    @property
    def rms_drift(self) -> float:
        """RMS over the seeds; infinite if one did not reach the end."""
        value = rms(self.drifts)
        return value if np.isfinite(value) else float("inf")


def evaluate_stride(
    inner: float,
    stride: int,
    runs: Sequence[Run | None],
    pair: Pair,
    *,
    frames: int,
    limit: float,
    foreseen: DriftPrediction | None,
) -> StrideResult:
    """Evaluate the runs of one setting.

    Args:
        inner: inner step, fs.
        stride: M.
        runs: of each seed; ``None`` for one that ended early.
        pair: the models.
        frames: of each run at which the configurational temperature is taken.
        limit: of the drift, meV/atom/ps.
        foreseen: what theory predicts.

    Raises:
        InputError: if a run tells no drift.
    """
    ended = [run for run in runs if run is not None]
    slopes = [_drift(run) for run in ended]
    drifts = [s.value for s in slopes] + [float("nan")] * (len(runs) - len(ended))
    error = None
    if len(slopes) > 1:
        error = float(np.std([s.value for s in slopes], ddof=1) / np.sqrt(len(slopes)))
    elif slopes:
        error = slopes[0].error
    result = StrideResult(inner, stride, drifts, error, foreseen=foreseen)
    if not ended:
        return result
    gap = _gap(ended[0])
    return replace(
        result,
        temperatures=_temperatures(ended),
        configurational_K=configurational_temperature(pair, _some(ended, frames)),
        gap_meV_per_A=None if gap is None else 1e3 * rms(gap),
        gap_fs=None if gap is None else correlation_time(gap, 1e3 * ended[0].timestep_ps),
        ms_per_ps=_pace(ended),
        holds=result.rms_drift <= limit,
    )


def _drift(run: Run) -> Scalar:
    """The drift of a run that came to its end."""
    slope = drift(run)
    if slope is None:
        raise InputError(
            f"expected the whole conserved energy in the outputs of '{run.job.folder}', got none; "
            "begin from the scenario water_nve_mts"
        )
    return slope


def _temperatures(runs: Sequence[Run]) -> dict[str, float]:
    """Species -> mean temperature over all runs, K."""
    columns = [temperature_columns(run) for run in runs]
    return {
        species: float(np.mean([average(species, "K", c[species]).value for c in columns]))
        for species in columns[0]
    }


def configurational_temperature(
    pair: Pair, frames: Sequence[Atoms], directions: int = 1, seed: int = 0
) -> float | None:
    """Temperature by positions alone, K; ``None`` without frames or conservative forces.

    ``T = <|∇U|²> / k <∇²U>`` (Rugh, Phys. Rev. Lett. 78, 772 (1997); Butler, Ayton, Jepps and
    Evans, J. Chem. Phys. 109, 6519 (1998)). The Laplacian is the mean of ``zᵀ ∇∇U z`` over random
    signs ``z`` (Hutchinson, Commun. Stat. Simul. Comput. 18, 1059 (1989)).

    ==================  ============================================
    |∇U|²               ``squares``, eV²/Å², of each frame
    z                   ``sign``, shape (N, 3)
    zᵀ ∇∇U z            ``laplacians``, eV/Å²: F' = −∇∇U z
    ==================  ============================================

    Args:
        pair: the models.
        frames: of the ensemble.
        directions: z of each frame.
        seed: of the signs.
    """
    role = Role.CONSERVATIVE
    if not frames or role not in pair.capabilities.roles:
        return None
    rng = np.random.default_rng(seed)
    squares, laplacians = [], []
    for frame in frames:
        probe = Probe(pair, structure_of(frame, "frames"))
        squares.append((probe.served(probe.structure)[role] ** 2).sum())
        for sign in rng.choice([-1.0, 1.0], size=(directions, *probe.shape)):
            laplacians.append(-(sign * probe.derivative(sign)[role]).sum())
    return float(np.mean(squares) / (kB * np.mean(laplacians)))


def correlation_time(series: NDArray[np.float64], step: float) -> float | None:
    """Integral of the autocorrelation until it first falls to zero, in the unit of ``step``.

    ``τ = ∫ C(t) dt``, by the trapezoidal rule; ``None`` of fewer than four frames.

    Args:
        series: shape (frames, n).
        step: between two frames.
    """
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
    positions = [run.frames("positions") for run in runs]
    trajectories = [frames.beads[0] for frames in positions if frames is not None]
    return [
        t[i] for t in trajectories for i in np.unique(np.linspace(0, len(t) - 1, count).astype(int))
    ]


def _gap(run: Run) -> NDArray[np.float64] | None:
    """Conservative minus direct force of each frame, eV/Å, shape (frames, 3N)."""
    slow, fast = (run.frames(f"forces_component_raw({k})") for k in (0, 1))
    if slow is None or fast is None:
        return None
    gap = _component(slow) - _component(fast)
    return gap.reshape(len(gap), -1)


def _component(frames: Frames) -> NDArray[np.float64]:
    """Forces of a trajectory, shape (frames, N, 3), eV/Å, under whatever name i-PI gave them."""
    name = next(n for n in frames.beads[0][0].arrays if n not in ("numbers", "positions"))
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
