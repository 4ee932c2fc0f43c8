"""The model of ``anything`` with charges on its atoms: a dipole and its derivatives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from anything import Anything
from numpy.typing import NDArray

from halfkick.models.base import ForceResult, Role, Structure

CHARGES = {1: 0.4, 8: -0.8}  # e


class Charged(Anything):
    """``dipole``, shape (3,), e Å, and ``BEC``, shape (3N, 3), e."""

    name = "charged"
    capabilities = replace(
        Anything.capabilities, outputs={"dipole": "e*Angstrom", "BEC": "e", "energy_ensemble": "eV"}
    )

    def _evaluate(self, structure: Structure, role: Role) -> ForceResult:
        result = super()._evaluate(structure, role)
        charges = np.array([CHARGES[z] for z in structure.numbers.tolist()])
        made: dict[str, NDArray[np.float64]] = {
            "dipole": charges @ structure.positions,
            "BEC": np.kron(charges[:, None], np.eye(3)),
            "energy_ensemble": result.energy * np.array([0.9, 1.0, 1.1]),
        }
        outputs = {name: made[name] for name in self.wanted_outputs}
        return replace(result, outputs=outputs if role is Role.CONSERVATIVE else {})


def charged(**options: float) -> Charged:
    """Make the model; the factory that ``python:charged:charged`` names."""
    return Charged(**options)
