"""Neighbour lists with a Verlet skin, one for each bead and system.

A list made with a skin serves until an atom has moved by half of it, so that most steps only
filter. Structures that come in turn (beads, systems) need a list each, or every one throws away
the list of the one before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metatomic.torch import NeighborListOptions, System
    from vesin.metatomic import NeighborList

__all__ = ["NeighborLists"]

SKIN = 1.0
"""Å. For liquid water in steps of 0.5 fs anything from 0.5 to 2 is as quick, and half of none."""

CAPACITY = 256


class NeighborLists:
    """Adds the neighbour lists a model asks for to its systems.

    Args:
        options: the lists to make.
        skin: Å; 0 makes each list anew.
        capacity: the number of slots to keep lists for; the one used longest ago goes first.
    """

    def __init__(
        self,
        options: Sequence[NeighborListOptions],
        *,
        skin: float = SKIN,
        capacity: int = CAPACITY,
    ) -> None:
        self.options = list(options)
        self.skin = skin
        self.capacity = capacity
        self._calculators: OrderedDict[Hashable, list[NeighborList]] = OrderedDict()

    def add(self, system: System, slot: Hashable = None) -> None:
        """Add all lists to ``system`` (Å); gradients with respect to it are kept.

        Args:
            system: one structure.
            slot: where it comes from; ``None`` keeps nothing for later.
        """
        for calculator in self._of_slot(slot):
            calculator.add_neighbor_list(system)

    def __len__(self) -> int:
        return len(self._calculators)

    def __contains__(self, slot: Hashable) -> bool:
        return slot in self._calculators

    def _of_slot(self, slot: Hashable) -> list[NeighborList]:
        from vesin.metatomic import NeighborList

        if slot in self._calculators:
            self._calculators.move_to_end(slot)
            return self._calculators[slot]
        skin = 0.0 if slot is None else self.skin
        new = [NeighborList(options, "Angstrom", skin=skin) for options in self.options]
        if slot is not None:
            self._calculators[slot] = new
            if len(self._calculators) > self.capacity:
                self._calculators.popitem(last=False)
        return new
