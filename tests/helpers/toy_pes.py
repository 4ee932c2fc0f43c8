"""The twin of the server for i-PI's ``ffdirect``: the same model, called inside i-PI.

Takes the parameters that an ``ffsocket`` served by halfkick takes, so that both runs can be
compared number by number::

    <ffdirect name='direct'>
      <pes> custom </pes> <pes_path> tests/toy_pes.py </pes_path>
      <parameters> {model: python:toy:toy, role: direct, template: init.xyz} </parameters>
    </ffdirect>
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase.data import atomic_numbers
from ipi.pes.dummy import Dummy_driver
from numpy.typing import NDArray

from halfkick.driver.server.units import BOHR, HARTREE
from halfkick.models.base import Role, Structure, without_mean_force
from halfkick.models.load import load_model

__DRIVER_NAME__ = "toy"
__DRIVER_CLASS__ = "ToyPES"

NUMBERS = atomic_numbers | {"D": 1, "T": 1}


class ToyPES(Dummy_driver):
    """One role of a halfkick model as an i-PI potential; positions in bohr, energies in hartree."""

    def __init__(
        self,
        template: str,
        role: str,
        model: str = "python:toy:toy",
        energy: str = "none",
        **parameters: Any,
    ) -> None:
        self.numbers, self.pbc = species(Path(template))
        self.role = Role(role)
        self.energy = Role.CONSERVATIVE if energy == "model" else self.role
        self.model = load_model(model)
        super().__init__(**parameters)

    def compute_structure(
        self, cell: NDArray[np.float64], pos: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64], str]:
        """Return energy, forces (N, 3) and virial (3, 3) in atomic units; cell has columns."""
        structure = Structure(self.numbers, pos.reshape(-1, 3) * BOHR, cell.T * BOHR, self.pbc)
        (results,) = self.model.evaluate([structure], frozenset({self.role, self.energy}))
        result = results[self.role]
        forces = result.forces * (BOHR / HARTREE)
        if self.role is Role.DIRECT:
            forces = without_mean_force(forces)
        return (
            results[self.energy].energy / HARTREE,
            forces,
            result.virial / HARTREE,
            "",
        )


def species(template: Path) -> tuple[NDArray[np.int_], NDArray[np.bool_]]:
    """Atomic numbers (N,) and periodic directions (3,); isotopes by their label, others are 0.

    A file that names neither cell nor periodicity counts as periodic.
    """
    text = template.read_text()
    lines = text.splitlines()
    if template.suffix == ".xyz" and "Properties=" not in lines[1]:  # ASE does not know all labels
        labels = [line.split()[0] for line in lines[2 : 2 + int(lines[0])]]
        pbc = not re.search("pbc=.?F F F", lines[1])
        return np.array([NUMBERS.get(label, 0) for label in labels]), np.full(3, pbc)
    if template.suffix == ".pdb" and "cell{" in lines[0]:  # i-PI's own
        labels = [line[12:16].strip() for line in lines if line.startswith("ATOM")]
        return np.array([NUMBERS.get(label, 0) for label in labels]), np.full(3, True)
    atoms = ase.io.read(template)
    silent = atoms.cell.rank == 0 and "pbc=" not in text
    return atoms.numbers, np.full(3, True) if silent else atoms.pbc
