"""i-PI's units, by their names: what turns a value in one into a value in another."""

from __future__ import annotations

from ..errors import InputError

__all__ = ["unit_factor"]

OWN_UNITS = ("", "automatic", "atomic_unit")


def unit_factor(dimension: str, given: str, wanted: str) -> float:
    """What to multiply a value in the unit ``given`` by, to have it in the unit ``wanted``.

    Args:
        dimension: what i-PI calls it: ``time``, ``energy``, ``temperature`` and so on.
        given: a name of i-PI's; empty for atomic units.
        wanted: likewise.

    Raises:
        InputError: if i-PI knows no such unit of this dimension.
    """
    given = given.strip()
    if given == wanted or (given in OWN_UNITS and wanted in OWN_UNITS):
        return 1.0
    from ipi.utils.units import unit_to_internal  # imports all of i-PI: only where it must be

    try:
        return float(
            unit_to_internal(dimension, given, 1.0) / unit_to_internal(dimension, wanted, 1.0)
        )
    except (IndexError, TypeError, ValueError) as error:
        raise InputError(
            f"expected a unit of {dimension} that i-PI knows, got '{given}': {error}"
        ) from error
