"""The gap between the forces that two force fields gave for one structure.

Under multiple time stepping the conservative force is asked for where the fast one was asked for
just before: their difference, the gap, is what the correction has to carry. The fast force may be
the direct one of the same model or come from another model; either may have a card that says how
large the gap should be. A gap far above it means that the model is used outside of what it was made
for, which is said once.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from math import isnan, nan
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from ....models.base import Role, Structure
from ....models.gap import force_gap
from ..force_field import ForceField
from ..limits import max_norm

__all__ = ["GapMonitor"]

log = logging.getLogger("halfkick")

GAP_WARNING_FACTOR = 3.0
"""Times the gap of the card."""

GAP_AVERAGE_LENGTH = 8
"""Structures over which the gap is averaged before it is compared with the card."""


@dataclass(eq=False)
class ForceFieldPair:
    """A fast and a slow force field and the gap between them.

    Attributes:
        count: structures compared.
        total: sum of their mean square gaps, (eV/Å)².
        recent: mean square gap of the last few.
        species: the same by atomic number.
        warned: whether it was said that this is far above the card.
    """

    fast: ForceField
    slow: ForceField
    count: int = 0
    total: float = 0.0
    recent: float = 0.0
    species: dict[int, float] = field(default_factory=dict)
    warned: bool = False

    def add(self, gap: NDArray[np.float64], numbers: NDArray[np.int_]) -> None:
        """Take in the gap (N, 3) of one structure; warn once if it is far above the card."""
        squares = (gap**2).mean(axis=1)
        square = float(squares.mean())
        self.count += 1
        weight = 1.0 / min(self.count, GAP_AVERAGE_LENGTH)
        self.total += square
        self.recent += weight * (square - self.recent)
        for number in np.unique(numbers).tolist():
            before = self.species.get(number, 0.0)
            now = float(squares[numbers == number].mean())
            self.species[number] = before + weight * (now - before)
        expected = self.fast.expected_gap
        if (
            expected is None
            or self.warned
            or self.recent <= (GAP_WARNING_FACTOR * expected.rmse) ** 2
        ):
            return
        self.warned = True
        rmse = np.sqrt(self.recent)
        log.warning(
            "warning: expected a gap of %.0f meV/Å between '%s' and %s, as its card says, got "
            "%.0f against '%s'; it is used outside of what it was made for: distil it on this "
            "system or take a smaller stride",
            1e3 * expected.rmse, self.fast.model.name, expected.reference,
            1e3 * rmse, self.slow.model.name,
        )  # fmt: skip

    def now(self) -> dict[str, Any]:
        """The root mean square gap of the last structures, all and by species, as JSON."""
        gaps = {"all": self.recent} | {chemical_symbols[z]: g for z, g in self.species.items()}
        return {
            "fast": f"{self.fast.model.name}, {self.fast.role}",
            "slow": f"{self.slow.model.name}, {self.slow.role}",
            "rmse_meV_per_A": {k: round(1e3 * float(np.sqrt(g)), 2) for k, g in gaps.items()},
        }

    def report(self) -> dict[str, Any]:
        """What came of it, as JSON."""
        expected = self.fast.expected_gap
        return {
            "fast": f"{self.fast.model.name}, {self.fast.role}",
            "slow": f"{self.slow.model.name}, {self.slow.role}",
            "structures": self.count,
            "rmse_meV_per_A": round(1e3 * float(np.sqrt(self.total / self.count)), 2),
            "card_meV_per_A": None if expected is None else round(1e3 * expected.rmse, 2),
            "far_above_card": self.warned,
        }


class GapMonitor:
    """Compares each conservative request with what other force fields gave for its structure.

    Of each place the last structure is remembered. What is asked first of a force field is not
    compared: at the start i-PI asks for the slow force before or after the fast one.
    """

    def __init__(self) -> None:
        self.pairs: dict[tuple[ForceField, ForceField], ForceFieldPair] = {}
        self._begun: set[ForceField] = set()
        self._last: dict[Hashable, Hashable] = {}
        self._forces: defaultdict[Hashable, dict[ForceField, NDArray[np.float64]]]
        self._forces = defaultdict(dict)

    def update(
        self,
        force_field: ForceField,
        structures: Sequence[Structure],
        forces: NDArray[np.float64],
    ) -> tuple[list[float], float]:
        """Take note of forces (B, N, 3) that were asked for, and compare them.

        Returns:
            The largest gap on an atom of each structure, eV/Å, NaN if there is nothing to compare;
            and the smallest ``max_gap`` of the force fields compared.
        """
        largest, limit = [nan] * len(structures), force_field.limits.max_gap
        comes_second = force_field.role is Role.CONSERVATIVE and force_field in self._begun
        self._begun.add(force_field)
        for place, (structure, own) in enumerate(zip(structures, forces, strict=True)):
            key = structure.key
            others = self._forces.get(key, {}) if comes_second else {}
            for fast, before in others.items():
                if fast is not force_field:
                    gap = force_gap(before, own, fast.role)
                    size = max_norm(gap)
                    largest[place] = size if isnan(largest[place]) else max(size, largest[place])
                    limit = min(limit, fast.limits.max_gap)
                    pair = ForceFieldPair(fast, force_field)
                    pair = self.pairs.setdefault((fast, force_field), pair)
                    pair.add(gap, structure.numbers)
            self._remember(force_field, structure.slot, key, own)
        return largest, limit

    def _remember(
        self,
        force_field: ForceField,
        slot: Hashable,
        key: Hashable,
        forces: NDArray[np.float64],
    ) -> None:
        """Keep the forces in the place of the last ones from there."""
        before = self._last.get(slot)
        if before in self._forces:
            self._forces[before].pop(force_field, None)
            if not self._forces[before]:
                del self._forces[before]
        self._last[slot] = key
        self._forces[key][force_field] = forces
