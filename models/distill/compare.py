"""Compare direct and conservative students of one teacher at equal cost, over several seeds.

Each seed trains one of each kind on the same labels for the same time. What is measured: the time
of an evaluation (turn by turn, the least of many), the gap to the teacher on other frames, and how
the total energy drifts at constant energy with the teacher outside. ::

    python -m halfkick.models.distill.compare tblite:GFN2-xTB train.xyz test.xyz --minutes 10

A table goes to standard output and ``compare.json``; students that are in ``--out`` already are not
trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units

from ..base import ForceModel, Role
from ..dynamics.mts import MTSDynamics
from ..dynamics.particles import thermal_velocities
from ..dynamics.ring_polymer import RingPolymer
from ..frames import read_frames
from ..gap import force_gap, gap_statistics
from ..load import load_model
from ..statistics import rms
from .sample import ServedForce

ROLES = {"direct": Role.DIRECT, "conservative": Role.CONSERVATIVE}
TEMPERATURE_K = 300.0
REPEATS = 200


@dataclass(frozen=True)
class Trial:
    """One student: its kind (a recipe), the size of its network, and its seed."""

    kind: str
    size: str
    seed: int

    def train(self, data: Path, out: Path, minutes: float) -> ServedForce:
        """The student, trained unless that was done before."""
        from ..train import TrainOptions, train

        path = out / f"{self.kind}-{self.size}-{self.seed}.pt"
        if not path.with_suffix(".card.json").is_file():
            options = TrainOptions(self.kind, self.size, self.seed, minutes=minutes)
            train(data, path, options, work=path.with_suffix(".train"), overwrite=True)
        return ServedForce(load_model(str(path)), ROLES[self.kind])


def gap(student: ServedForce, frames: list[Atoms]) -> dict[str, dict[str, float]]:
    """Teacher minus student on labelled frames."""
    differences = []
    for atoms in frames:
        (result,) = student(atoms, atoms.positions[None])
        differences.append(force_gap(result.forces, atoms.get_forces(), student.role))
    statistics = gap_statistics([atoms.numbers for atoms in frames], differences)
    return {name: gap.for_card() for name, gap in statistics.items()}


def least_ms(forces: dict[Trial, ServedForce], atoms: Atoms) -> dict[Trial, float]:
    """Time of an evaluation of each, measured by turns so that all see the same machine."""
    best = dict.fromkeys(forces, np.inf)
    for _ in range(REPEATS):
        for trial, force in forces.items():
            start = time.perf_counter()
            force(atoms, atoms.positions[None])
            best[trial] = min(best[trial], 1e3 * (time.perf_counter() - start))
    return best


def drift(
    student: ServedForce,
    teacher: ServedForce,
    start: Atoms,
    stride: int,
    seed: int,
    length_fs: float,
) -> float:
    """Slope of the total energy at constant energy, meV/atom/ps; nan if it has blown up."""
    rng = np.random.default_rng(seed)
    masses = start.get_masses()
    velocities = thermal_velocities(masses, 1, TEMPERATURE_K, rng)
    ring = RingPolymer(masses, start.positions[None], velocities, TEMPERATURE_K)
    dynamics = MTSDynamics(
        ring, partial(student, start), partial(teacher, start), timestep_fs=0.5, stride=stride
    )
    energies = []
    for _ in range(round(length_fs / (0.5 * stride))):
        kinetic = 1.5 * len(start) * units.kB * ring.temperature_K
        energies.append(1e3 * (dynamics.results[0].energy + kinetic) / len(start))
        dynamics.step(rng)
        if not ring.temperature_K < 10 * TEMPERATURE_K:
            return float("nan")
    times_ps = 5e-4 * stride * np.arange(len(energies))
    return float(np.polyfit(times_ps, energies, 1)[0])


def measure(
    trials: dict[Trial, ServedForce],
    teacher: ForceModel,
    frames: list[Atoms],
    options: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Everything about each student, as JSON."""
    slow = ServedForce(teacher, Role.CONSERVATIVE)
    times = least_ms(trials, frames[0])
    rows = []
    for trial, student in trials.items():
        drifts = {
            stride: [
                drift(student, slow, frames[seed], stride, seed, options.length_fs)
                for seed in range(options.runs)
            ]
            for stride in options.strides
        }
        rows.append(
            vars(trial) | {"ms": times[trial], "gap": gap(student, frames), "drift": drifts}
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown; drifts as root mean squares over the runs that held."""
    strides = list(rows[0]["drift"])
    heads = "".join(f" drift, M = {stride} |" for stride in strides)
    lines = [f"| student | seed | ms | gap, meV/Å |{heads}", "|---" * (4 + len(strides)) + "|"]
    for row in rows:
        cells = []
        for values in row["drift"].values():
            held = [v for v in values if np.isfinite(v)]
            lost = len(values) - len(held)
            text = f"{rms(held):.2g}" if held else "-"
            cells.append(text + (f" ({lost} of {len(values)} blew up)" if lost else ""))
        lines.append(
            f"| {row['kind']}, {row['size']} | {row['seed']} | {row['ms']:.2f} "
            f"| {row['gap']['all']['rmse']:.0f} | " + " | ".join(cells) + " |"
        )
    return "\n".join(lines)


def main() -> None:
    """Read the command line, train and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("teacher")
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--out", type=Path, default=Path("compare"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--direct-size", default="s")
    parser.add_argument("--conservative-size", default="xs")
    parser.add_argument("--strides", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--length-fs", type=float, default=500.0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    sizes = {"direct": options.direct_size, "conservative": options.conservative_size}
    trials = [Trial(kind, sizes[kind], seed) for seed in options.seeds for kind in sizes]
    students = {t: t.train(options.train, options.out, options.minutes) for t in trials}
    frames = read_frames(options.test, ":")
    for index, atoms in enumerate(frames):
        atoms.info["walker"] = f"frame {index}"
    rows = measure(students, load_model(options.teacher), frames, options)
    (options.out / "compare.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
