"""Refuses to serve forces as conservative that are not those of the energy that goes with them."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from math import isfinite

from ....models.balance import balance
from ....models.base import Role, Structure
from ...errors import GuardError
from ..force_field import ForceField

__all__ = ["EnergyTest"]

log = logging.getLogger("halfkick")


class EnergyTest:
    """Compares conservative forces with the energy, once for each model and slot.

    What the model is asked for beside i-PI's structures belongs to no slot, and the directions have
    random numbers of their own: a run is the same with and without the test.
    """

    def __init__(self) -> None:
        self._tested: set[tuple[Hashable, Hashable]] = set()
        self._cleared: set[Hashable] = set()

    def check(self, force_field: ForceField, structures: Sequence[Structure]) -> None:
        """Test a force field on structures in slots that were not tested.

        Raises:
            GuardError: if the forces are not conservative.
        """
        if force_field.role is not Role.CONSERVATIVE or not force_field.tests_energy:
            return
        if force_field.energy_only:
            return  # there are no forces to test
        for structure in structures:
            key = force_field.identity, structure.slot
            if key not in self._tested:
                self._tested.add(key)
                if force_field.identity not in self._cleared:
                    self._test(force_field, structure)

    def _test(self, force_field: ForceField, structure: Structure) -> None:
        model = force_field.model
        wanted, model.wanted_outputs = model.wanted_outputs, frozenset()
        try:
            found = balance(model, structure, seed=len(self._tested))
        finally:
            model.wanted_outputs = wanted
        excess, size = 1e3 * found.excess, 1e3 * found.size
        if not isfinite(excess):
            return  # what is served is looked at, too
        if not found.holds:
            raise GuardError(
                f"expected conservative forces from model '{model.name}', got forces that do work "
                f"its energy knows nothing of: {excess:.3g} ± {1e3 * found.error:.1g} meV/Å of "
                f"{size:.3g} are not its gradient; serve them as direct (role: direct; "
                f"?role=direct in the model's name), or write energy_test: off into <parameters>"
            )
        log.info("%s: work of its forces and energy differ by %.2g of %.3g meV/Å", model.name,
                 excess, size)  # fmt: skip
        if found.is_second_look:
            self._cleared.add(force_field.identity)
