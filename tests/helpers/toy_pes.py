"""The twin of the server for i-PI's ``ffdirect``: the same model, called inside i-PI.

Takes the parameters that an ``ffsocket`` served by halfkick takes, so that both runs can be
compared number by number::

    <ffdirect name='direct'>
      <pes> custom </pes> <pes_path> tests/toy_pes.py </pes_path>
      <parameters> {model: python:toy:toy, role: direct, template: init.xyz} </parameters>
    </ffdirect>
"""

from __future__ import annotations

from typing import Any

import ase.io
import numpy as np
from ipi.pes.dummy import Dummy_driver
from numpy.typing import NDArray

from halfkick.driver.server.units import BOHR, HARTREE
from halfkick.models.base import Role, Structure, without_mean_force
from halfkick.models.load import load_model

__DRIVER_NAME__ = "toy"
__DRIVER_CLASS__ = "ToyPES"


class ToyPES(Dummy_driver):
    """One role of a halfkick model as an i-PI potential; positions in bohr, energies in hartree."""

    def __init__(
        self, template: str, role: str, model: str = "python:toy:toy", **parameters: Any
    ) -> None:
        atoms = ase.io.read(template)
        self.numbers, self.pbc = atoms.numbers, atoms.pbc
        self.role = Role(role)
        self.model = load_model(model)
        super().__init__(**parameters)

    def compute_structure(
        self, cell: NDArray[np.float64], pos: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64], str]:
        """Return energy, forces (N, 3) and virial (3, 3) in atomic units; cell has columns."""
        structure = Structure(self.numbers, pos.reshape(-1, 3) * BOHR, cell.T * BOHR, self.pbc)
        (results,) = self.model.evaluate([structure], frozenset({self.role}))
        result = results[self.role]
        forces = result.forces * (BOHR / HARTREE)
        if self.role is Role.DIRECT:
            forces = without_mean_force(forces)
        return (
            result.energy / HARTREE,
            forces,
            result.virial / HARTREE,
            "",
        )
