"""ASE calculators with a curl: EMT and forces that are the gradient of nothing.

Named in an input as ``ase:curled:Curled?curl=0.02`` with this folder in ``PYTHONPATH``.
"""

from __future__ import annotations

import numpy as np
from ase.calculators.calculator import all_changes
from ase.calculators.emt import EMT

__all__ = ["Curled", "Rounded"]


class Curled(EMT):
    """EMT, and a part of its forces turned by 90° about z: as large as network's direct forces err.

    Args:
        curl: the part.
    """

    def __init__(self, curl: float = 0.02) -> None:
        super().__init__()
        self.curl = curl

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        forces = self.results["forces"]
        turned = forces[:, [1, 0, 2]] * [-1.0, 1.0, 0.0]
        self.results["forces"] = forces + self.curl * turned


class Rounded(Curled):
    """The same with an energy as a network in single precision gives it, far from zero.

    Args:
        curl: the part.
        shift: of the energy, eV.
    """

    def __init__(self, curl: float = 0.0, shift: float = 1000.0) -> None:
        super().__init__(curl)
        self.shift = shift

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        for name in ("energy", "free_energy"):
            self.results[name] = float(np.float32(self.results[name] + self.shift))
        self.results["forces"] = self.results["forces"].astype(np.float32)
