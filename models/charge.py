"""What a structure's file says of charge and spin, which no model is told.

A model computes neutral structures of closed shells, unless its own options say otherwise. A file
that says otherwise is refused: the numbers would be those of another system.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .errors import DataError
from .labels import element

__all__ = ["check_charge_and_spin"]

log = logging.getLogger(__name__)

CHARGES = ("charge", "total_charge", "net_charge")
MULTIPLICITIES = ("multiplicity", "spin_multiplicity")
UNPAIRED = ("num_unpaired_electrons", "unpaired_electrons", "uhf", "total_spin")
ROUNDING = 0.1
"""Elementary charges, or Bohr magnetons: what rounded numbers of all atoms may sum up to."""


def check_charge_and_spin(
    where: str,
    labels: Sequence[str],
    info: Mapping[str, Any],
    arrays: Mapping[str, ArrayLike],
    options: Mapping[str, Any] | None = None,
) -> None:
    """Refuse a structure that is charged or has unpaired spins; log what else is not used.

    Args:
        where: the file, for messages.
        labels: of the atoms.
        info: what the file says of the structure: ``charge``, ``spin`` and so on.
        arrays: of atoms, shape (N,): ``initial_charges`` in e, ``initial_magmoms`` in Bohr
            magnetons, ``tags``.
        options: those of the model, whose ``charge`` and ``multiplicity`` count.

    Raises:
        DataError: if it is charged or has unpaired spins, and the model's options do not say so.
    """
    told = options or {}
    given = {str(key).lower(): _number(value) for key, value in info.items()}
    charge = _first(given, CHARGES)
    if charge is None and "initial_charges" in arrays:
        total = float(np.sum(np.asarray(arrays["initial_charges"], np.float64)))
        charge = "initial_charges", total if abs(total) > ROUNDING else 0.0
    if charge is not None and abs(charge[1] - (_number(told.get("charge")) or 0.0)) > ROUNDING:
        name, value = charge
        how = f"{name} of {value:+.6g} in all" if name in arrays else f"{name}={value:g}"
        raise _refusal(where, how, f"charge={value:g}")
    if "multiplicity" not in told:
        spin = _spin(given, arrays, labels, round(charge[1]) if charge else 0)
        if spin is not None:
            raise _refusal(where, *spin)
    unused = [key for key in ("initial_charges", "initial_magmoms", "tags") if key in arrays]
    if unused:
        log.info("%s: its %s are not used", where, ", ".join(unused))


def _spin(
    given: Mapping[str, float | None],
    arrays: Mapping[str, ArrayLike],
    labels: Sequence[str],
    charge: int,
) -> tuple[str, str] | None:
    """What says that spins are unpaired, and the option that would; ``None`` if nothing does."""
    multiplicity = _first(given, MULTIPLICITIES)
    if multiplicity is not None and multiplicity[1] > 1:
        return f"{multiplicity[0]}={multiplicity[1]:g}", f"multiplicity={multiplicity[1]:g}"
    unpaired = _first(given, UNPAIRED)
    if unpaired is not None and unpaired[1] > 0:
        return f"{unpaired[0]}={unpaired[1]:g}", f"multiplicity={unpaired[1] + 1:g}"
    spin = given.get("spin")
    # some programs write the multiplicity, others unpaired electrons: 1 is closed shells for the
    # former alone, and they write it where the number of electrons is even
    if spin is not None and spin != 0.0 and (spin != 1.0 or _electrons(labels, charge) % 2):
        return f"spin={spin:g}", "multiplicity=…"
    if "initial_magmoms" in arrays:
        moments = np.abs(np.asarray(arrays["initial_magmoms"], np.float64))
        if moments.size and moments.max() > ROUNDING:
            return f"initial_magmoms up to {moments.max():.6g}", "multiplicity=…"
    return None


def _electrons(labels: Sequence[str], charge: int) -> int:
    from ase.data import atomic_numbers  # slow to import: only where it must be

    return sum(atomic_numbers.get(element(label), 0) for label in labels) - charge


def _refusal(where: str, got: str, option: str) -> DataError:
    return DataError(
        f"expected a neutral structure of closed shells in '{where}', got {got}, of which the "
        f"model would know nothing; take another structure or a model with an option for it "
        f"(tblite:GFN2-xTB?{option}), or delete that if the model is meant to do without"
    )


def _first(given: Mapping[str, float | None], names: tuple[str, ...]) -> tuple[str, float] | None:
    for name in names:
        value = given.get(name)
        if value is not None:
            return name, value
    return None


def _number(value: object) -> float | None:
    """A value as a number; ``None`` if it is none."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
