"""A model of TorchSim that costs nothing: every atom is drawn to the centre of its structure."""

from __future__ import annotations

import torch
from torch_sim.models.interface import ModelInterface


class Well(ModelInterface):
    """Springs of stiffness ``k``, eV/Å²; its forces are ``factor`` times what they should be."""

    def __init__(
        self,
        k: float = 1.0,
        factor: float = 1.0,
        forces: bool = True,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.k, self.factor = k, factor
        self._device, self._dtype = device or torch.device("cpu"), dtype
        self._compute_stress, self._compute_forces = False, forces

    def forward(self, state, **_: object) -> dict[str, torch.Tensor]:
        index = state.system_idx
        sizes = torch.bincount(index).to(self._dtype)
        sums = torch.zeros(len(sizes), 3, dtype=self._dtype).index_add(0, index, state.positions)
        r = state.positions - (sums / sizes[:, None])[index]
        energy = torch.zeros(len(sizes), dtype=self._dtype).index_add(0, index, (r**2).sum(1))
        return {"energy": 0.5 * self.k * energy, "forces": -self.k * self.factor * r}
