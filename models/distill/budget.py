"""What a distillation needs of its time, by what an evaluation was measured to cost."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from math import ceil

import numpy as np

from ..errors import ModelError
from .options import DistillOptions
from .record import Record
from .sample import ServedForce, Walker

__all__ = ["Budget"]

log = logging.getLogger(__name__)

LEAST_TRAINING = 0.25  # part of all the time that is left to training, at least
MARGIN = 1.1  # of the minutes that an error asks for: times are never twice the same
MOVED = 1e-3  # Å: nobody remembers the answer


class Budget:
    """The times of a distillation, in seconds.

    Args:
        teacher: what labels.
        sampler: what moves the walkers while there is no student.
        walkers: the trajectories.
        options: how long, and what a frame consists of.
        record: tells the time.
        least: frames without which no student can be trained.
    """

    def __init__(
        self,
        teacher: ServedForce,
        sampler: ServedForce,
        walkers: Sequence[Walker],
        options: DistillOptions,
        record: Record,
        least: int,
    ) -> None:
        self._teacher, self._sampler = teacher, sampler
        self._walkers, self._options, self._record = walkers, options, record
        self._least = least
        self._frames_of_turn = len(walkers) * options.beads

    @cached_property
    def label_s(self) -> float:
        """A structure's evaluation by the teacher, mean over the walkers."""
        return self._measured(self._teacher)

    @cached_property
    def first_frame_s(self) -> float:
        """A frame of the first round, labelled."""
        steps = self._options.stride * self._options.outer_steps + 1
        if self._sampler is self._teacher:
            return steps * self.label_s
        return steps * self._measured(self._sampler) + self.label_s

    @property
    def gap_frames(self) -> int:
        """Fresh frames that tell the gap of a student, at least."""
        return min(self._frames_of_turn, self._least)

    @property
    def gap_s(self) -> float:
        """The teacher's time for these frames: corrections of a student that costs nothing."""
        return self.gap_frames * (self._options.outer_steps + 1) * self.label_s

    @property
    def left_s(self) -> float:
        """What is left of all minutes."""
        return max(60.0 * self._options.minutes - self._record.seconds, 0.0)

    @property
    def training_s(self) -> float:
        """What is left of them if the gap of what is trained shall be told."""
        return max(self.left_s - self.gap_s, 0.0)

    def check(self, missing: int) -> None:
        """Raise ModelError if time is too short for the frames that are missing and a training.

        Args:
            missing: frames that the first training still needs; none if it is not positive.
        """
        sampling_s = max(missing, 0) * self.first_frame_s
        needed_s = self._record.seconds + sampling_s + self.gap_s
        needed = needed_s / (1.0 - LEAST_TRAINING) / 60.0
        costs = f"an evaluation takes the teacher {self.label_s:.2g} s"
        if missing > 0:
            more = "" if self._record.is_new else "more "
            costs += (
                f", the {missing} {more}frames that the first training needs "
                f"{sampling_s / 60.0:.2g} minutes"
            )
        if needed > self._options.minutes:
            others = ", or shorten --interval, or name a --surrogate or --labels"
            raise ModelError(
                f"expected at least {ceil(MARGIN * needed)} minutes, got {self._options.minutes:g}:"
                f" {costs}; raise --minutes{others if self._record.is_new else ''}"
            )
        log.info("%s", costs)

    def _measured(self, force: ServedForce) -> float:
        """Seconds of a structure, mean over walkers; each size is evaluated twice, once timed."""
        seconds: dict[int, float] = {}
        for walker in self._walkers:
            if len(walker.start) not in seconds:
                beads = np.array([walker.start.positions] * walker.beads)
                force(walker.start, beads)  # compiles
                before = self._record.seconds
                force(walker.start, beads + MOVED)
                seconds[len(walker.start)] = self._record.seconds - before
        return sum(seconds[len(w.start)] for w in self._walkers) / self._frames_of_turn
