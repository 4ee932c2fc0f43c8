"""Distillations of the toy model, by a student that learns in milliseconds."""

from __future__ import annotations

import numpy as np
from pairfit import PairFit, teach
from toy import Toy, atoms

from halfkick.models.base import Role
from halfkick.models.distill.options import DistillOptions
from halfkick.models.distill.record import Record
from halfkick.models.distill.rounds import Rounds
from halfkick.models.distill.sample import ServedForce, make_walkers
from halfkick.models.distill.store import labelled, rounded

OPTIONS = DistillOptions(
    temperatures_K=(300.0,), frames=6, rounds=2, trajectories=2, interval_fs=8.0, strain=0.02
)


def frame(shift=0.0):
    start = atoms()
    start.positions = rounded(start.positions + shift * np.eye(27, 3))
    start.info["walker"] = 0
    (result,) = ServedForce(Toy(), Role.CONSERVATIVE)(start, start.positions[None])
    return labelled(start, result, stress=True)


def rounds(folder, options=OPTIONS, teacher=None, surrogate=None, learn=teach):
    return Rounds(
        ServedForce(teacher or Toy(), Role.CONSERVATIVE),
        make_walkers([atoms()], options),
        folder,
        Record(folder, options.lasting()),
        options,
        learn,
        PairFit,
        surrogate and ServedForce(surrogate, Role.DIRECT),
    )
