"""Predicts at which structures i-PI will ask for both forces of a model.

One pass that gives both costs little more than one for the conservative forces alone. So it pays to
know that the other ones will be asked for, too:

.. code-block:: text

      i-PI                                driver                            model
       │                                     │                                │
       ├── D1 ──────────────────────────────►├── direct ─────────────────────►│
       │◄────────────────── direct forces ───┤◄───────────────────────────────┤
       ⋮   inner steps                       ⋮                                ⋮
       ├── DM ──────────────────────────────►├── direct + conservative ──────►│  both expected:
       │◄────────────────── direct forces ───┤◄───────────────────────────────┤  one pass
       ├── CM, the bytes of DM ─────────────►│                                │
       │◄──────────── conservative forces ───┤◄───────────────────────────────┤  a hit
       │   outer half-kicks by F_c − F_d     │                                │

**The model.** The structures of a model come in a cycle (:mod:`halfkick.driver.server.cycle`):
some that are asked for one of its forces, then some for both. i-PI waits for all forces of a level
before it goes on. So it is enough to count new structures, by whichever force field, connection or
batch they come, in which order the beads do, and whichever of the forces is asked first.

**Where the cycle begins.** A pair that was not expected says where a cycle ends: at the structures
known so far. At the start, and after a restart, i-PI asks for everything once, in any order. Under
contraction these are not only pairs: requests are counted, and the cycle begins after the last one.

**Which cycle.** That of i-PI's input. Where there is none, or it was wrong, the last two cycles are
taken for the next ones if they were equal.

**Without a cycle.** Of several systems under contraction nothing is counted: the forces that are
never asked for alone foretell the others, and those alone.

**What a wrong prediction costs.** Forces that were not expected are made when they are asked for (a
miss): a pass more. Forces that nobody asks for have cost time in vain (wasted), and nothing more is
predicted until the next pair. Neither changes an answer: results are kept by all bytes of the
structure, and given to a request for exactly these.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from ...models.base import ForceResult, Role
from .cycle import UNKNOWN, Cycle, Foreseen

__all__ = ["Other", "Predictor"]

MAX_STRUCTURES = 1 << 13
"""Structures whose requests are remembered; a cycle is learned if it comes twice among them."""


class Other(Enum):
    """What is known of the other forces of a structure that is asked for."""

    UNEXPECTED = auto()
    EXPECTED = auto()
    ASKED = auto()


@dataclass(slots=True)
class Asked:
    """What was asked at one structure.

    Attributes:
        pair_expected: whether it is predicted to be asked for both forces.
        roles: asked so far.
    """

    pair_expected: bool
    roles: set[Role] = field(default_factory=set)

    @property
    def is_pair(self) -> bool:
        return len(self.roles) == len(Role)


class Predictor:
    """The cycle of one model's requests, and the forces kept in view of it.

    Args:
        foreseen: what is known beforehand.

    Attributes:
        wasted: structures whose other forces were made and not asked for.
    """

    def __init__(self, foreseen: Foreseen = UNKNOWN) -> None:
        self.wasted = 0
        self._cycle = foreseen.cycle
        self._start = dict(foreseen.start)  # requests that are still to come
        self._never_alone = foreseen.never_alone
        counts = not self._start and self._never_alone is None
        self._place: int | None = 0 if counts else None  # in the cycle, of the next structure
        self._surprised = False
        # by hash: a collision costs time, nothing else
        self._asked: OrderedDict[int, Asked] = OrderedDict()
        self._begun = 0
        self._kept: dict[Hashable, tuple[int, Mapping[Role, ForceResult]]] = {}

    def __contains__(self, key: Hashable) -> bool:
        return hash(key) in self._asked

    def observe(self, key: Hashable, role: Role) -> Other:
        """Note that forces are asked for; ``key`` is of model and structure."""
        asked = self._asked.get(hash(key)) or self._begin(hash(key))
        if role is self._never_alone and not asked.roles:
            asked.pair_expected = True
        was_pair = asked.is_pair
        asked.roles.add(role)
        completed = asked.is_pair and not was_pair
        counts = not self._start and self._never_alone is None
        if completed and counts and not asked.pair_expected:
            self._place, self._surprised = 0, True
        self._count_start(role)
        if completed:
            return Other.ASKED
        return Other.EXPECTED if asked.pair_expected and not was_pair else Other.UNEXPECTED

    def keep(self, key: Hashable, results: Mapping[Role, ForceResult]) -> None:
        """Keep the results for a structure until a whole cycle has come after it."""
        if self._cycle is not None:
            self._kept[key] = self._begun + sum(self._cycle), results

    def kept(self, key: Hashable) -> Mapping[Role, ForceResult]:
        """The results for exactly this structure; empty if none were kept."""
        return self._kept[key][1] if key in self._kept else {}

    def _begin(self, key: int) -> Asked:
        """A new structure."""
        if self._surprised:
            self._learn()
        self._forget()
        self._begun += 1
        asked = self._asked[key] = Asked(False)
        if len(self._asked) > MAX_STRUCTURES:
            self._asked.popitem(last=False)
        if self._cycle is not None and self._place is not None:
            asked.pair_expected = self._place >= self._cycle.alone
            self._place = (self._place + 1) % sum(self._cycle)
        return asked

    def _forget(self) -> None:
        """Give up what was kept for a cycle; where it was in vain, the place in the cycle, too."""
        for key in [k for k, (last, _) in self._kept.items() if self._begun >= last]:
            del self._kept[key]
            asked = self._asked.get(hash(key))
            if asked is None or not asked.is_pair:
                self.wasted += 1
                self._place = None

    def _count_start(self, role: Role) -> None:
        if self._start:
            self._start[role] = self._start.get(role, 0) - 1
            if max(self._start.values()) <= 0:
                self._start, self._place = {}, 0

    def _learn(self) -> None:
        """Take the last two cycles for the next ones, if they were equal."""
        self._surprised = False
        newest_first = (asked.is_pair for asked in reversed(self._asked.values()))
        self._cycle = Cycle.last(newest_first) or self._cycle
