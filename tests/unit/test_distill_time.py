"""How a distillation divides its time when a label is dear: by a clock that evaluations move."""

from __future__ import annotations

import re
from dataclasses import replace

import ase.io
import pytest
from distilling import OPTIONS
from pairfit import PairFit, teach
from toy import Toy, atoms

from halfkick.models.base import Role
from halfkick.models.distill.record import Record
from halfkick.models.distill.rounds import Rounds
from halfkick.models.distill.sample import ServedForce, make_walkers
from halfkick.models.errors import ModelError

LEAST = 20
FRAME = 4 * 4 + 1  # evaluations of a frame of OPTIONS
PLAN = replace(OPTIONS, rounds=1, frames=LEAST)


class Clock:
    """Seconds that pass only where something is said to take them."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


class Dear(Toy):
    """A structure takes it some seconds; it dies at a time, if told to."""

    def __init__(self, clock, cost_s, death_s=float("inf")):
        super().__init__()
        self.clock, self.cost_s, self.death_s = clock, cost_s, death_s

    def evaluate(self, structures, roles):
        self.clock.seconds += self.cost_s * len(structures)
        if self.clock.seconds > self.death_s:
            raise KeyboardInterrupt
        return super().evaluate(structures, roles)


class Distillation:
    """One whose trainings take as long as they may."""

    def __init__(self, folder, options, cost_s, *, structures=1, surrogate=0.0, death_s=1e9):
        self.clock, self.trainings = Clock(), []
        teacher = Dear(self.clock, cost_s, death_s)
        sampler = ServedForce(Dear(self.clock, surrogate * cost_s), Role.CONSERVATIVE)
        self.rounds = Rounds(
            ServedForce(teacher, Role.CONSERVATIVE),
            make_walkers([atoms()] * structures, options),
            folder,
            Record(folder, options.lasting(), self.clock),
            options,
            self.train,
            PairFit,
            sampler if surrogate else None,
            LEAST,
        )

    def train(self, data, out, minutes, start, work):
        self.trainings.append((len(ase.io.read(data, ":")), minutes))
        self.clock.seconds += 60.0 * minutes
        teach(data, out, minutes, start, work)


def asked_minutes(folder, options, cost_s, **others):
    """What a distillation of one minute says at the start that it needs."""
    short = Distillation(folder, replace(options, minutes=1.0), cost_s, **others)
    with pytest.raises(ModelError, match="raise --minutes, or shorten --interval") as error:
        short.rounds.run()
    assert short.clock.seconds <= 4 * cost_s * options.beads  # it has measured, and no more
    assert not short.trainings and "\n" not in str(error.value)
    return int(re.match(r"expected at least (\d+) minutes, got 1:", str(error.value))[1])


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("beads", [1, 2])
@pytest.mark.parametrize("surrogate", [0.0, 0.1])
@pytest.mark.parametrize("structures", [1, 30], ids=["few walkers", "more than frames"])
def test_distill_of_a_dear_teacher_fits_the_minutes_it_asks_for(
    tmp_path, rounds, beads, surrogate, structures
):
    options, cost_s = replace(PLAN, rounds=rounds, beads=beads), 20.0
    others = {"structures": structures, "surrogate": surrogate}
    minutes = asked_minutes(tmp_path, options, cost_s, **others)
    done = Distillation(tmp_path, replace(options, minutes=minutes), cost_s, **others)
    done.rounds.run()
    frames, training_min = done.trainings[0]
    assert frames >= LEAST
    assert training_min > 0.05 * minutes
    assert done.clock.seconds < 60 * minutes * 1.02
    assert minutes < 2.0 * (LEAST + beads) * FRAME * cost_s / 60 + 2  # it asks for no more


def test_distill_of_a_cheap_teacher_samples_all_it_wants(tmp_path):
    """The twin: nothing is refused, and the share of time counts where a teacher is less cheap."""
    cheap = Distillation(tmp_path / "cheap", PLAN, 0.01)
    cheap.rounds.run()
    assert cheap.rounds._record.rounds[0]["sampled"] == 2 * LEAST
    less = Distillation(tmp_path / "less", replace(PLAN, minutes=100.0), 3.0)
    less.rounds.run()
    (first, second) = less.rounds._record.rounds
    assert LEAST < first["sampled"] < 2 * LEAST
    assert first["sampling_s"] == pytest.approx(0.4 * 6000 / 2, abs=FRAME * 3.0)
    assert second["sampled"] == LEAST  # a frame has fewer labels now


def test_distill_killed_in_sampling_says_what_the_rest_needs(tmp_path):
    killed = Distillation(tmp_path, replace(PLAN, minutes=30.0), 2.0, death_s=300.0)
    with pytest.raises(KeyboardInterrupt):
        killed.rounds.run()
    before = (tmp_path / "labels.xyz").read_text()
    minutes = asked_minutes(tmp_path, PLAN, 2.0)
    frames = len(ase.io.read(tmp_path / "labels.xyz", ":"))
    assert 5 < frames < LEAST
    assert minutes == pytest.approx(1.1 * (LEAST - frames + 1) * FRAME * 2.0 / 60 / 0.75, abs=1.5)
    done = Distillation(tmp_path, replace(PLAN, minutes=minutes), 2.0)
    done.rounds.run()
    assert (tmp_path / "labels.xyz").read_text().startswith(before)
    assert done.trainings[0][0] >= LEAST


def test_distill_trains_no_first_student_when_time_is_over(tmp_path):
    """A teacher that gets slower: what has been sampled stays, and what would do is said."""
    slower = Distillation(tmp_path, replace(PLAN, minutes=16.0), 2.0)
    advance = slower.rounds._advance

    def slow(*arguments):
        slower.clock.seconds += 60.0
        return advance(*arguments)

    slower.rounds._advance = slow
    with pytest.raises(ModelError, match=r"expected at least \d+ minutes, got 16: .*--minutes$"):
        slower.rounds.run()
    assert not slower.trainings and slower.clock.seconds < 60 * 16 * 1.1
    again = Distillation(tmp_path, replace(PLAN, minutes=60.0), 2.0)
    again.rounds.run()
    assert again.trainings[0][0] >= LEAST


def test_distill_labels_as_many_of_a_surrogate_as_time_allows(tmp_path):
    options = replace(PLAN, frames=100, minutes=100.0)
    done = Distillation(tmp_path, options, 30.0, surrogate=0.01)
    done.rounds.run()
    sampled, picked = (done.rounds._record.rounds[0][k] for k in ("sampled", "picked"))
    assert LEAST < picked < sampled
    assert done.trainings[0][0] == picked
    assert done.clock.seconds < 6000 * 1.02
