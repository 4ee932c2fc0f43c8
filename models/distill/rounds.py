"""Rounds of sampling, picking, labelling and training, until the student is good enough."""

from __future__ import annotations

import io
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from ..base import ForceModel
from ..errors import ModelError
from ..frames import read_frames
from ..gap import gap_statistics
from .options import DistillOptions
from .record import Record, write_atomically
from .sample import ServedForce, Walker, run_segment
from .select import pick
from .store import NEUTRAL, SUPPLIED, Store, key, labelled, state_of

__all__ = ["Rounds", "Train"]

log = logging.getLogger(__name__)

Train = Callable[[Path, Path, float, Path | None, Path], None]
"""Trains a student: data, model to write, minutes, checkpoint to start from, folder to work in."""

FALLING_GAP = 0.95
"""A gap above this part of the best one before does not fall any more."""

SAMPLING_SHARE = 0.4
"""Part of the time that is left for sampling; and of what is then left, most is for training."""
TRAINING_SHARE = 0.75
SHORTEST_TRAINING = 0.05  # part of all the time


class Rounds:
    """A distillation in a folder; what was done there before is not done again.

    Round r samples with the student of round r - 1 (round 0 with the surrogate or the teacher),
    which shows the gap of that student on fresh frames, and then trains student r.

    Args:
        teacher: what is distilled.
        walkers: the trajectories.
        folder: of ``labels.xyz``, students and their training data.
        record: what was done before.
        options: how.
        train: trains a student.
        load: opens a student.
        surrogate: samples instead of the teacher while there is no student.
    """

    def __init__(
        self,
        teacher: ServedForce,
        walkers: Sequence[Walker],
        folder: Path,
        record: Record,
        options: DistillOptions,
        train: Train,
        load: Callable[[Path], ForceModel],
        surrogate: ServedForce | None = None,
    ) -> None:
        self._teacher, self._surrogate = teacher, surrogate
        self._walkers, self._folder = walkers, folder
        self._record, self._options = record, options
        self._train_student, self._load = train, load
        self.labels = Store(folder / "labels.xyz")
        self._samples = Store(folder / "samples.xyz")  # of a surrogate, without labels
        self._visited: defaultdict[tuple[int, int, int], list[Atoms]] = defaultdict(list)
        for atoms in [*self._samples.frames, *self.labels.frames]:
            if "turn" in atoms.info:
                self._visited[_segment(atoms)].append(atoms)

    def student(self, index: int) -> Path:
        """The model that round ``index`` has trained."""
        return self._folder / f"student-{index}.pt"

    def run(self) -> int:
        """Do what is left to do; return the round of the best student."""
        for index in range(self._options.rounds + 1):
            done = self._record.round(index)
            if "sampled" not in done:
                self._sample(index, done)
            if reason := self._reason_to_stop(index):
                log.info("%s", reason)
                break
            if "trained" not in done:
                self._train(index, done)
        self._record.save()
        return best(self._record.rounds)

    def _sample(self, index: int, done: dict[str, Any]) -> None:
        """Let all walkers go on by turns until there are frames enough or time is over."""
        options, start = self._options, self._record.seconds
        supplied = sum(SUPPLIED in atoms.info for atoms in self.labels.frames)
        wanted = 2 * options.frames if index < options.rounds else options.frames
        if index == 0 and supplied >= options.frames:
            wanted = 0
        share = SAMPLING_SHARE * self._seconds_left() / (options.rounds - index + 1)
        fast, slow = self._forces(index)
        per_turn = len(self._walkers) * options.beads
        failures = 0
        for turn in range(-(-wanted // per_turn)):
            if turn and self._record.seconds - start > share:
                break
            for walker in self._walkers:
                failures += not self._advance(walker, index, turn, fast, slow)
        fresh = self._fresh(index)
        if wanted and not fresh:
            raise ModelError(
                "expected trajectories that hold, but all of them blew up; take a smaller --stride "
                "or --timestep, or structures nearer to equilibrium"
            )
        done |= {
            "sampled": len(fresh),
            "blown_up": failures,
            "sampling_s": round(self._record.seconds - start, 1),
        }
        if index > 0:
            gaps = [atoms.arrays["gap"] for atoms in fresh]
            statistics = gap_statistics([atoms.numbers for atoms in fresh], gaps)
            done["gap"] = {name: gap.for_card() for name, gap in statistics.items()}
            text = format_gap(done["gap"])
            log.info("round %d: gap on %d fresh frames %s", index, len(fresh), text)
        self._record.save()

    def _forces(self, index: int) -> tuple[ServedForce, ServedForce | None]:
        """What moves the walkers of a round, and what corrects it."""
        if index == 0:
            return self._surrogate or self._teacher, None
        return ServedForce(self._load(self.student(index - 1)), self._options.role), self._teacher

    def _advance(
        self, walker: Walker, index: int, turn: int, fast: ServedForce, slow: ServedForce | None
    ) -> bool:
        """Add the next frames of a walker, from its start if it blows up; False if it did."""
        if (walker.index, index, turn) in self._visited:
            return True
        last = self._last(walker)
        for attempt, before in enumerate([last, []] if last else [[]]):
            rng = np.random.default_rng([self._options.seed, index, walker.index, turn])
            frames = run_segment(walker, before, fast, slow, self._options, rng)
            if frames is not None:
                self._keep(frames, index, turn, labels=fast is not self._surrogate)
                return attempt == 0
        log.warning("warning: trajectory %d blew up in round %d", walker.index, index)
        return False

    def _keep(self, frames: Sequence[Atoms], index: int, turn: int, *, labels: bool) -> None:
        for atoms in frames:
            atoms.info |= {"round": index, "turn": turn}
            if not labels:
                atoms.calc = None
            self._visited[_segment(atoms)].append(atoms)
        (self.labels if labels else self._samples).add(frames)

    def _last(self, walker: Walker) -> list[Atoms]:
        """The last frames of a walker, one for each bead; none if it has not moved yet."""
        segments = [segment for segment in self._visited if segment[0] == walker.index]
        return self._visited[max(segments)][: walker.beads] if segments else []

    def _fresh(self, index: int) -> list[Atoms]:
        """What was sampled in a round."""
        store = self._samples if index == 0 and self._surrogate else self.labels
        return [a for a in store.frames if a.info.get("round") == index]

    def _reason_to_stop(self, index: int) -> str | None:
        """Why not to train again after the sampling of a round; ``None`` to go on."""
        gaps = [r["gap"]["all"]["rmse"] for r in self._record.rounds[1 : index + 1] if "gap" in r]
        if gaps and gaps[-1] <= self._options.gap:
            return f"the gap meets {self._options.gap:g} meV/Å"
        if len(gaps) > 1 and gaps[-1] > FALLING_GAP * min(gaps[:-1]):
            return "the gap falls no more"
        if index == self._options.rounds:
            return f"{index} rounds are done"
        if index > 0 and self._seconds_left() < SHORTEST_TRAINING * 60.0 * self._options.minutes:
            return f"{self._options.minutes:g} minutes are over"
        return None

    def _seconds_left(self) -> float:
        return max(60.0 * self._options.minutes - self._record.seconds, 0.0)

    def _train(self, index: int, done: dict[str, Any]) -> None:
        """Pick and label frames, and train on them and all picked before."""
        data = self._folder / f"train-{index}.xyz"
        if not data.is_file():
            write_frames(data, self._training_frames(index))
        size = len(read_frames(data, ":"))
        start = None if index == 0 else self.student(index - 1).with_suffix(".ckpt")
        share = TRAINING_SHARE / (self._options.rounds - index)
        minutes = done.setdefault("minutes", share * self._seconds_left() / 60.0)  # if it goes on
        self._record.save()
        log.info("round %d: training on %d frames for %.1f minutes", index, size, minutes)
        began = time.monotonic()
        work = self._folder / f"train-{index}"
        self._train_student(data, self.student(index), max(minutes, 0.05), start, work)
        done |= {"taught": size, "trained": round(time.monotonic() - began, 1)}
        self._record.save()

    def _training_frames(self, index: int) -> list[Atoms]:
        """The training set of the round before, or the supplied labels, and what is picked now."""
        if index > 0:
            training_set = read_frames(self._folder / f"train-{index - 1}.xyz", ":")
        else:
            training_set = [a for a in self.labels.frames if SUPPLIED in a.info]
        trained_on = {key(a) for a in training_set}
        fresh = [a for a in self._fresh(index) if key(a) not in trained_on]
        picked = [self._label(a) for a in pick(fresh, training_set, self._options.frames)]
        return [
            a
            for a in [*training_set, *picked]
            if np.linalg.norm(a.get_forces(), axis=1).max() < self._options.max_force
        ]

    def _label(self, atoms: Atoms) -> Atoms:
        """The frame with the teacher's labels, which are computed unless they are known."""
        label = self.labels.find(atoms)
        if label is not None:
            return label
        (result,) = self._teacher(atoms, atoms.positions[None])
        self.labels.add([labelled(atoms, result, stress=self._teacher.has_stress)])
        return self.labels.frames[-1]


def _segment(atoms: Atoms) -> tuple[int, int, int]:
    """Which walker's frame it is, of which round and turn."""
    return atoms.info["walker"], atoms.info["round"], atoms.info["turn"]


def best(rounds: Sequence[dict[str, Any]]) -> int:
    """The round whose student had the smallest gap, measured in the round after it."""
    gaps = {i - 1: r["gap"]["all"]["rmse"] for i, r in enumerate(rounds) if "gap" in r}
    return min(gaps, key=lambda i: gaps[i])


def format_gap(gap: dict[str, dict[str, float]]) -> str:
    """A gap as it stands on a card, in words."""
    species = ", ".join(f"{k} {v['rmse']:.1f}" for k, v in gap.items() if k != "all")
    return f"{gap['all']['rmse']:.1f} meV/Å ({species}; 99.9 % below {gap['all']['p999']:.0f})"


def write_frames(path: Path, frames: Sequence[Atoms]) -> None:
    """Write labelled frames for training, each with the name of its trajectory."""
    plain = []
    for atoms in frames:
        frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        charge, spin = state_of(atoms)
        frame.info |= (
            {"charge": charge, "spin_multiplicity": spin} if (charge, spin) != NEUTRAL else {}
        )
        frame.info["trajectory"] = atoms.info.get(
            "trajectory", f"walker-{atoms.info.get('walker')}"
        )
        frame.calc = atoms.calc
        plain.append(frame)
    text = io.StringIO()
    ase.io.write(text, plain, format="extxyz")
    write_atomically(path, text.getvalue())
