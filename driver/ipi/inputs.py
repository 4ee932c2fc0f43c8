"""Charge, spin and what else calculators read: of structures in files, and of ``<parameters>``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...models.base import Inputs
from ...models.charge import read_inputs
from ..errors import InputError
from .structures import Frame

__all__ = ["inputs_of"]

OF_ASE = ("lattice", "properties", "pbc")  # in a header, but not in ``info``


def inputs_of(frame: Frame, parameters: Mapping[str, str] | None = None) -> Inputs:
    """Charge, spin and the rest of a frame, values as ASE reads them.

    Raises:
        InputError: if a charge or a spin among ``parameters`` cannot be one.
    """
    charge, spin = _charge_and_spin(parameters or {})
    arrays = dict(frame.columns)
    if "tags" in arrays:
        arrays["tags"] = arrays["tags"].astype(int)
    return read_inputs(frame.labels, _info(frame), arrays, charge=charge, spin=spin)


def _charge_and_spin(parameters: Mapping[str, str]) -> tuple[float | None, int | None]:
    """``charge`` (e) and ``spin`` (2S + 1) of a force field; ``None`` where it does not say."""
    charge, spin = parameters.get("charge"), parameters.get("spin")
    try:
        value = None if charge is None else float(charge)
    except ValueError:
        raise InputError(
            f"expected a number of elementary charges for charge in <parameters>, got '{charge}'"
        ) from None
    if spin is not None and not (spin.isdecimal() and int(spin)):
        raise InputError(
            f"expected the multiplicity 2S + 1 for spin in <parameters>, got '{spin}'; write 1 "
            f"for closed shells, 2 for one unpaired electron"
        )
    return value, None if spin is None else int(spin)


def _info(frame: Frame) -> Mapping[str, Any]:
    if not (frame.info and frame.comment):
        return frame.info
    from ase.io.extxyz import key_val_str_to_dict

    found = key_val_str_to_dict(frame.comment)
    return {key: value for key, value in found.items() if key.lower() not in OF_ASE}
