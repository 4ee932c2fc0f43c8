"""A potential inside i-PI without forces, whose energy is no number after a while."""

from __future__ import annotations

from typing import Any

import numpy as np
from ipi.pes.dummy import Dummy_driver
from numpy.typing import NDArray

__DRIVER_NAME__ = "nan"
__DRIVER_CLASS__ = "NanPES"


class NanPES(Dummy_driver):
    """Energy of zero for so many evaluations, then NaN."""

    def __init__(self, after: str, **parameters: Any) -> None:
        self.left = int(after)
        super().__init__(**parameters)

    def compute_structure(
        self, cell: NDArray[np.float64], pos: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64], str]:
        """Return energy, forces (N, 3) and virial (3, 3) in atomic units."""
        self.left -= 1
        return 0.0 if self.left >= 0 else np.nan, np.zeros_like(pos), np.zeros((3, 3)), ""
