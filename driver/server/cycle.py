"""In which order i-PI asks for the two forces of a model in an outer step, by its input.

i-PI evaluates the components of a force by the levels of multiple time stepping, the innermost
first. It asks for all components of a level at once, and for none a second time at the same
positions. With M = 4 and 8 beads these are the structures of an outer step:

.. code-block:: text

              corrected on all beads              corrected on 2 contracted ones
              direct [-1, 1]                      direct [0, 1]
              conservative [1, 0]                 2 beads: direct [-1, 0], conservative [1, 0]

    update    level 1            level 0          level 1            level 0
      1       D D D D D D D D                     D D D D D D D D
      2       D D D D D D D D                     D D D D D D D D
      3       D D D D D D D D                     D D D D D D D D
      4       D D D D D D D D    C C C C C C C C  D D D D D D D D    D D   either may come first,
              └─ the same structures ─────────┘                      C C   the same structures

    cycle     24 for one of the forces            32 for one of the forces
              8 for both                          2 for both

A structure counts once, whichever of its forces is asked for first.

Several systems are moved side by side, and nothing says of which one a structure is. Where all are
corrected on all beads, a place (:mod:`halfkick.driver.server.places`) is a bead of a system, with
the cycle of one bead. Contracted beads are no such places: they lie among the others. But the
conservative forces are asked for at these alone, and so are never asked for alone:

.. code-block:: text

    system 1    D D D D D D D D    D D D D D D D D    D D
                                                      C C ── each C foretells its D
    system 2         D D D D D D D D    D D
                                        C C

A contracted D that comes first foretells nothing, as it looks like the others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from math import prod
from typing import NamedTuple

from ...models.base import Role
from ..ipi.system import System

__all__ = ["UNKNOWN", "Cycle", "Foreseen", "foresee"]


class Cycle(NamedTuple):
    """What repeats itself in the requests for the two forces of a model.

    Attributes:
        alone: so many structures are asked for one of the forces.
        paired: so many that follow them are asked for both.
    """

    alone: int
    paired: int

    @classmethod
    def of(cls, both: Iterable[bool]) -> Cycle | None:
        """The cycle of structures that are asked for both forces, or not; ``None`` if none fits."""
        match runs := [*_runs(both)]:
            case [(True, paired)]:
                return cls(0, paired)
            case [(False, alone), (True, paired), *_] if runs == runs[:2] * (len(runs) // 2):
                return cls(alone, paired)
        return None

    @classmethod
    def last(cls, both: Iterable[bool]) -> Cycle | None:
        """The cycle that came twice in a row just now; ``None`` if none did.

        Args:
            both: whether both forces were asked for, the newest structure first.
        """
        runs = [*islice(_runs(both), 4)]
        match runs:
            case [(True, paired), (False, alone), *before] if before == runs[:2]:
                return cls(alone, paired)
        return None


class Part(NamedTuple):
    """A part of the force on a system.

    Attributes:
        role: of the forces.
        beads: on which it is evaluated.
        mts_weights: at each level of multiple time stepping, the outermost first.
    """

    role: Role
    beads: int
    mts_weights: tuple[float, ...]


class Foreseen(NamedTuple):
    """What i-PI's input says of the requests for the two forces of a model.

    Attributes:
        cycle: of an outer step; ``None`` if it is not known.
        start: how many structures it asks for at the start, by role, if not all for both forces.
        never_alone: the forces that are never asked for alone, where the order is not known; the
            cycle tells then how many structures there are in an outer step of all systems.
    """

    cycle: Cycle | None = None
    start: Mapping[Role, int] = {}
    never_alone: Role | None = None


UNKNOWN = Foreseen()


def foresee(systems: Sequence[System], roles: Mapping[str, Role]) -> Foreseen:
    """What i-PI will ask of one model, for its only system, for each place or for all of several.

    Args:
        systems: of the input.
        roles: which of the model's forces a force field serves, by its name.
    """
    of_model = [s for s in systems if any(f.forcefield in roles for f in s.forces)]
    if not of_model:
        return UNKNOWN
    system = of_model[0]
    dynamics = system.dynamics
    nmts = (dynamics.nmts if dynamics is not None else ()) or (1,)
    parts = [
        Part(roles[f.forcefield], min(f.beads or system.beads, system.beads), f.mts_weights)
        for f in system.forces
        if f.forcefield in roles and f.weight != 0.0
    ]
    if len({part.beads for part in parts}) == 1:
        beads = system.beads if len(systems) == 1 else 1
        return Foreseen(outer_step(nmts, [part._replace(beads=beads) for part in parts]))
    if len(systems) > 1:
        return _of_contracted(outer_step(nmts, parts), len(systems))
    start: Counter[Role] = Counter()
    for part in parts:
        start[part.role] += part.beads
    return Foreseen(outer_step(nmts, parts), start)


def outer_step(nmts: Sequence[int], parts: Sequence[Part]) -> Cycle | None:
    """The cycle of an outer step: what is asked after each update of the positions.

    Args:
        nmts: steps at each level in one of the level above, the outermost first.
        parts: of the force, those of one model.
    """
    both: list[bool] = []
    for update in range(1, prod(nmts) + 1):
        asked: defaultdict[int, set[Role]] = defaultdict(set)
        for level in reversed(range(len(nmts))):
            if update % prod(nmts[level + 1 :]) == 0:
                for part in parts:
                    if any(part.mts_weights[level : level + 1]):
                        asked[part.beads].add(part.role)
        for beads, roles in asked.items():
            both += [len(roles) == len(Role)] * beads
    return Cycle.of(both)


def _of_contracted(one: Cycle | None, systems: int) -> Foreseen:
    """What is known of several systems under contraction, by the cycle of one of them."""
    if one is None:
        return UNKNOWN
    return Foreseen(Cycle(one.alone * systems, one.paired * systems), {}, Role.CONSERVATIVE)


def _runs(both: Iterable[bool]) -> Iterator[tuple[bool, int]]:
    """How often each value follows itself."""
    return ((value, len(list(run))) for value, run in groupby(both))
