"""What a calculator says of itself: whether its forces are direct, and how it is told of charge.

ASE has no common way for either. Classes are told by name, so that their packages need not be
there. A class that is not known here counts as conservative and as told of nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms

from ..base import Inputs, Role

__all__ = ["Convention", "by_info", "convention_of", "role_of"]

Tell = Callable[[Atoms, Inputs], None]
"""Puts charge and spin where a calculator looks for them."""

DIRECT_CLASSES = {"DirectForcefieldRegressor"}  # of Orb


def _nothing(atoms: Atoms, inputs: Inputs) -> None:
    pass


@dataclass(frozen=True)
class Convention:
    """How a calculator learns of charge and spin; fields as in ``Capabilities``."""

    inputs: frozenset[str] = field(default_factory=frozenset)
    charges: frozenset[int] = frozenset({0})
    spins: frozenset[int] = frozenset({1})
    tell: Tell = _nothing


def role_of(calculator: Any) -> Role | None:
    """Which forces a calculator gives, as far as it says so; ``None`` if it does not.

    Known are Orb's regressors, the backbone of fairchem's models and metatomic's calculator.
    """
    model = getattr(calculator, "model", None)
    if any(cls.__name__ in DIRECT_CLASSES for cls in type(model).__mro__):
        return Role.DIRECT
    says = getattr(calculator, "_nc_forces", None)  # metatomic_ase.MetatomicCalculator
    if says is None:
        path = ("predictor", "model", "module", "backbone", "regress_config", "direct_forces")
        says = calculator
        for name in path:  # fairchem.core.FAIRChemCalculator
            says = getattr(says, name, None)
    if not isinstance(says, bool):
        return None
    return Role.DIRECT if says else Role.CONSERVATIVE


def convention_of(calculator: Any, uses: Collection[str] = ()) -> Convention:
    """How a calculator is told; of ``uses`` by its ``info`` if it is not known here."""
    for cls in type(calculator).__mro__:
        if cls.__name__ in KNOWN:
            return KNOWN[cls.__name__](calculator)
    return by_info(*uses)


def by_info(*uses: str) -> Convention:
    """Told by ``info["charge"]`` and ``info["spin"]``, the multiplicity, as most are."""

    def tell(atoms: Atoms, inputs: Inputs) -> None:
        said = {"charge": _plain(inputs.charge), "spin": inputs.spin}
        atoms.info |= {name: said[name] for name in said.keys() & {*uses} if said[name] is not None}

    return Convention(frozenset(uses), tell=tell)


def _tblite(calculator: Any) -> Convention:
    """By sums over atoms, unless its options say both."""
    charge, spin = (calculator.parameters.get(key) for key in ("charge", "multiplicity"))

    def tell(atoms: Atoms, inputs: Inputs) -> None:
        shares = np.ones(len(atoms)) / len(atoms)
        atoms.set_initial_charges((inputs.charge or 0.0) * shares)
        atoms.set_initial_magnetic_moments(((inputs.spin or 1) - 1) * shares)

    names = {"charge": charge, "spin": spin}
    return Convention(
        frozenset(name for name, value in names.items() if value is None),
        frozenset({0 if charge is None else round(charge)}),
        frozenset({1 if spin is None else round(spin)}),
        tell,
    )


def _so3krates(calculator: Any) -> Convention:
    """By ``info``, S instead of the multiplicity, where the network embeds them."""
    model, keys = calculator.models[0], calculator.key_specification.info_keys
    embedded = {"charge": "use_charge_embed", "spin": "use_spin_embed"}
    inputs = frozenset(name for name, flag in embedded.items() if getattr(model, flag, False))

    def tell(atoms: Atoms, inputs: Inputs) -> None:
        atoms.info[keys["total_charge"]] = _plain(inputs.charge or 0.0)
        atoms.info[keys["total_spin"]] = ((inputs.spin or 1) - 1) / 2

    return Convention(inputs, tell=tell)


KNOWN: dict[str, Callable[[Any], Convention]] = {
    "TBLite": _tblite,
    "TorchkratesCalculator": _so3krates,
}
"""By the name of a class among a calculator's own."""


def _plain(charge: float | None) -> float | int | None:
    """A whole charge as an integer, which some calculators insist on."""
    return charge if charge is None or charge % 1.0 else int(charge)
