"""Predicts which direct requests will be followed by a conservative one at the same positions.

Under multiple time stepping with stride M the conservative force corrects the direct one every
M-th step. This is one outer step on the wire, for one bead:

.. code-block:: text

      i-PI                                driver                            model
       │                                     │                                │
       ├── D1 ──────────────────────────────►├── direct ─────────────────────►│
       │◄────────────────── direct forces ───┤◄───────────────────────────────┤
       │   inner step: half-kick, drift      │                                │
       ├── D2 ──────────────────────────────►├── direct ─────────────────────►│
       │◄────────────────── direct forces ───┤◄───────────────────────────────┤
       ⋮                                     ⋮                                ⋮
       ├── DM ──────────────────────────────►├── direct + conservative ──────►│  CM is predicted:
       │◄────────────────── direct forces ───┤◄───────────────────────────────┤  one pass for both
       ├── CM, the bytes of DM ─────────────►│                                │
       │◄──────────── conservative forces ───┤◄───────────────────────────────┤  a hit
       │   outer half-kicks by F_c − F_d     │                                │
       ├── DM+1 ────────────────────────────►├── direct ─────────────────────►│  the next outer step

**What is asked.** i-PI asks M times for direct forces and once for conservative ones. It keeps the
direct forces of DM, so that F_c − F_d costs no request more. CM comes after DM was answered, with
the same positions and cell to the last bit, at constant energy, temperature or pressure, and with
nested strides, too. One pass that gives both forces costs little more than the conservative one,
and saves the direct one. So it pays to know at DM that CM will come.

**Start of a run.** i-PI asks D0 and C0 for the start, both at once, and either may come first. Then
D1 begins the first outer step. If C0 came first, the scheduler remembers it, and says so at D0.

**Beads.** With P beads (of all systems) an outer step is M·P direct structures, and the last P of
them are corrected. With ``<batch_size>`` they come P to a request, or fewer in short batches; else
one by one over several connections, and the conservative ones need not come in the order of the
direct ones. The predictor sees neither requests nor connections: it counts distinct structures in
the order in which they come. Where i-PI's input is at hand, :func:`mts_pattern` is predicted from
the first step on.

**What is learned.** The predictor notes at which of the direct structures a conservative request
came: the pattern of the outer step. When two outer steps in a row have shown the same pattern, the
next one is predicted to follow it, whatever it is. An outer step ends with the first new direct
structure after a conservative request at one of its structures. A step that is longer than
predicted breaks the pattern, and all is learned anew. The pattern of the input is given up then,
or when a prediction was in vain.

**What a wrong prediction costs.** A conservative request that was not predicted is evaluated when
it comes (a miss): the time of one direct pass is lost. A predicted one that never comes (wasted)
has cost the difference between both forces and the direct ones. Neither changes an answer: results
are kept by all bytes of the structure, and given to a request for exactly these.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from ...models.base import ForceResult, Role

__all__ = ["Pattern", "Predictor", "mts_pattern"]

MAX_PATTERN_LENGTH = 1 << 14
"""Direct structures without a conservative request, after which an outer step is taken to end."""


class Pattern(NamedTuple):
    """The shape of an outer step.

    Attributes:
        length: the number of direct structures.
        corrected: which of them, counted from 0, a conservative request follows.
    """

    length: int
    corrected: frozenset[int]


def mts_pattern(inner_steps: int, replicas: int) -> Pattern:
    """The pattern of plain multiple time stepping: the last inner step of all beads."""
    length = inner_steps * replicas
    return Pattern(length, frozenset(range(length - replicas, length)))


class Predictor:
    """The pattern of one direct force field, and the conservative forces kept in view of it.

    An outer step is the direct requests between two runs of conservative ones.

    Args:
        initial: the pattern to predict as long as none was learned.

    Attributes:
        wasted: results that were kept and never asked for.
    """

    def __init__(self, initial: Pattern | None = None) -> None:
        self.wasted = 0
        self._initial = initial
        self._kept: dict[Hashable, Mapping[Role, ForceResult]] = {}
        self._indices: dict[int, int] = {}  # by hash: a collision costs time, nothing else
        self._corrected: set[int] = set()
        self._last: Pattern | None = None
        self._predicted = initial

    def observe_direct(self, key: Hashable) -> bool:
        """Note a direct request; True if a conservative one is predicted at the same structure."""
        index = self._indices.get(hash(key))
        if index is None:
            if self._corrected or len(self._indices) > MAX_PATTERN_LENGTH:
                self._begin_outer_step()
            index = self._indices[hash(key)] = len(self._indices)
        if self._predicted is None:
            return False
        length, corrected = self._predicted
        if index >= length:  # the pattern is broken
            self._predicted = self._last = self._initial = None
            return False
        return index in corrected

    def observe_conservative(self, key: Hashable) -> bool:
        """Note a conservative request; True if a direct one came before it."""
        index = self._indices.get(hash(key))
        if index is not None:
            self._corrected.add(index)
        return index is not None

    def keep(self, key: Hashable, results: Mapping[Role, ForceResult]) -> None:
        """Keep results until they are asked for or the next outer step begins."""
        self._kept[key] = results

    def take(self, key: Hashable) -> Mapping[Role, ForceResult] | None:
        """The results for exactly this structure, if they were kept."""
        return self._kept.pop(key, None)

    def _begin_outer_step(self) -> None:
        """Learn from the outer step that has ended."""
        pattern = Pattern(len(self._indices), frozenset(self._corrected))
        if self._kept:  # in vain
            self._initial = None
        self._predicted = pattern if pattern == self._last else self._initial
        self._last = pattern
        self._indices.clear()
        self._corrected.clear()
        self.wasted += len(self._kept)
        self._kept.clear()
