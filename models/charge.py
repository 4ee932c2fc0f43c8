"""Charge and spin: what a structure's file says of them, and whether a model computes with it.

Files spell both in many ways, and one file may spell them twice. What is read is made one total
charge and one multiplicity, 2S + 1. A model that is told of neither computes the charge and the
multiplicity it was made for, by default a neutral structure of closed shells: a file that says
otherwise is refused, because the numbers would be those of another system.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .base import Capabilities, Inputs
from .card import read_charges
from .errors import DataError
from .labels import element
from .spec import ModelSpec

__all__ = ["check_inputs", "log_unused", "read_inputs", "untold"]

log = logging.getLogger(__name__)

CHARGES = ("charge", "total_charge", "net_charge")
MULTIPLICITIES = ("multiplicity", "spin_multiplicity")
UNPAIRED = ("num_unpaired_electrons", "unpaired_electrons", "uhf")
SPIN = "spin"
"""Some programs write the multiplicity under this name, others the number of unpaired electrons."""
TOTAL_SPIN = "total_spin"  # S
ARRAYS = ("initial_charges", "initial_magmoms", "tags")
ROUNDING = 0.1
"""Elementary charges, or Bohr magnetons: what rounded numbers of all atoms may sum up to."""


def read_inputs(
    labels: Sequence[str],
    info: Mapping[str, Any],
    arrays: Mapping[str, ArrayLike],
    *,
    charge: float | None = None,
    spin: int | None = None,
) -> Inputs:
    """What a file says of charge, spin and whatever else calculators read.

    Args:
        labels: of the atoms.
        info: what the file says of the structure: ``charge``, ``spin`` and so on.
        arrays: of atoms, shape (N, …); ``initial_charges`` in e, ``initial_magmoms`` in Bohr
            magnetons and ``tags`` count.
        charge: counts instead of the file's, e.
        spin: counts instead of the file's, 2S + 1.
    """
    given = _lower(info)
    kept = {name: np.asarray(arrays[name]) for name in ARRAYS if name in arrays}
    if charge is None:
        charge = _charge(given, kept)
    if spin is None:
        spin = _spin(given, kept, labels, charge or 0.0)
    return Inputs(charge, spin, dict(info), kept)


def check_inputs(where: str, inputs: Inputs, name: str, model: Capabilities) -> None:
    """Refuse a charge or a spin that a model would not compute with.

    Args:
        where: the file, for messages.
        inputs: of the structure.
        name: of the model.
        model: what it can do.

    Raises:
        DataError: if the structure has another charge or spin than the model would compute.
    """
    charge, spin = inputs.charge, inputs.spin
    if charge is not None and "charge" not in model.inputs and not _is_in(charge, model.charges):
        raise _refusal(where, _told_charge(inputs), name, f"charge={charge:g}")
    if spin is not None and "spin" not in model.inputs and not _is_in(spin, model.spins):
        raise _refusal(where, _told_spin(inputs), name, f"multiplicity={spin}")
    moments = np.abs(np.asarray(inputs.arrays.get("initial_magmoms", 0.0), np.float64))
    of_spin = {"spin", "initial_magmoms"}
    if not of_spin & model.inputs and model.spins == {1} and moments.max(initial=0.0) > ROUNDING:
        raise _refusal(where, _told_spin(inputs), name, f"multiplicity={spin or '…'}")


def log_unused(where: str, inputs: Inputs, name: str, model: Capabilities) -> None:
    """Say what else a file tells of its atoms that a model does not compute with."""
    unused = [key for key in inputs.arrays if key not in model.inputs]
    if unused:
        log.info("%s: its %s are not used by %s", where, ", ".join(unused), name)


def untold(spec: ModelSpec, folder: Path) -> Capabilities:
    """What charge and spin a model may compute with at most, as far as its name tells.

    Args:
        spec: its name.
        folder: from which that names files.

    Raises:
        ModelError: if it has a card that cannot be read.
    """
    card = spec.file(folder) if not spec.kind else None
    charges, spins = ({0}, {1}) if card is None else read_charges(card)
    options = {"charge": spec.options.get("charge"), "spin": spec.options.get("multiplicity")}
    told = {name: round(value) for name, value in options.items() if isinstance(value, int | float)}
    return Capabilities(
        frozenset(),
        inputs=frozenset({"charge", "spin"} - told.keys() if spec.kind else ()),
        charges=frozenset({told["charge"]} if "charge" in told else charges),
        spins=frozenset({told["spin"]} if "spin" in told else spins),
    )


def _charge(given: Mapping[str, float | None], arrays: Mapping[str, ArrayLike]) -> float | None:
    found = _first(given, CHARGES)
    if found is not None:
        return found[1]
    if "initial_charges" not in arrays:
        return None
    total = float(np.sum(np.asarray(arrays["initial_charges"], np.float64)))
    return float(round(total, 3)) if abs(total) > ROUNDING else 0.0


def _spin(
    given: Mapping[str, float | None],
    arrays: Mapping[str, ArrayLike],
    labels: Sequence[str],
    charge: float,
) -> int | None:
    """The multiplicity; ``None`` if nothing is said of it."""
    if (multiplicity := _first(given, MULTIPLICITIES)) is not None:
        return round(multiplicity[1])
    if (unpaired := _first(given, UNPAIRED)) is not None:
        return round(unpaired[1]) + 1
    if given.get(TOTAL_SPIN) is not None:
        return round(2.0 * (given[TOTAL_SPIN] or 0.0)) + 1
    if said := given.get(SPIN):  # 0 says nothing
        # of electrons and unpaired ones both are even or both are odd; a multiplicity is not
        unpaired_too = (round(said) - _electrons(labels, charge)) % 2 == 0
        return round(said) + 1 if unpaired_too else round(said)
    if "initial_magmoms" in arrays:
        moments = np.asarray(arrays["initial_magmoms"], np.float64)
        if moments.ndim == 1 and np.abs(moments).max(initial=0.0) > ROUNDING:
            return abs(round(float(moments.sum()))) + 1
    return None


def _electrons(labels: Sequence[str], charge: float) -> int:
    from ase.data import atomic_numbers  # slow to import: only where it must be

    return sum(atomic_numbers.get(element(label), 0) for label in labels) - round(charge)


def _told_charge(inputs: Inputs) -> str:
    found = _first(_lower(inputs.info), CHARGES)
    if found is not None and found[1] == inputs.charge:
        return f"{found[0]}={found[1]:g}"
    if found is None and "initial_charges" in inputs.arrays:
        return f"initial_charges of {inputs.charge:+.6g} in all"
    return f"charge={inputs.charge:g}"


def _told_spin(inputs: Inputs) -> str:
    found = _first(_lower(inputs.info), (*MULTIPLICITIES, *UNPAIRED, TOTAL_SPIN, SPIN))
    if found is not None:
        return f"{found[0]}={found[1]:g}"
    if "initial_magmoms" in inputs.arrays:
        return f"initial_magmoms up to {np.abs(inputs.arrays['initial_magmoms']).max():.6g}"
    return f"spin={inputs.spin}"


def _refusal(where: str, got: str, name: str, option: str) -> DataError:
    return DataError(
        f"expected a neutral structure of closed shells in '{where}', got {got}, with which model "
        f"'{name}' does not compute; take another structure or a model that does (so3lr, "
        f"tblite:GFN2-xTB?{option}), or delete that if the model is meant to do without"
    )


def _is_in(value: float, known: Iterable[int]) -> bool:
    return any(abs(value - one) <= ROUNDING for one in known)


def _lower(info: Mapping[str, Any]) -> dict[str, float | None]:
    return {str(key).lower(): _number(value) for key, value in info.items()}


def _first(given: Mapping[str, float | None], names: tuple[str, ...]) -> tuple[str, float] | None:
    for name in names:
        value = given.get(name)
        if value is not None:
            return name, value
    return None


def _number(value: object) -> float | None:
    """A value as a number; ``None`` if it is none, as the truth that ASE makes of a lone key."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
