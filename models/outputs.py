"""What one pass through a metatomic model gives: direct forces at once, the others on request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from halfkick.models.base import ForceResult, Role, Structure

__all__ = ["Outputs"]

Leaves = tuple[torch.Tensor, ...]
"""What to differentiate by: the positions, and the strain if the virial is needed."""


class Outputs:
    """The outputs of a model for some structures.

    Args:
        values: the model's outputs by kind: ``energy``, ``force``, ``stress``, as far as asked for.
        structures: what they are for.
        leaves: for each structure.
    """

    def __init__(
        self,
        values: Mapping[str, torch.Tensor],
        structures: Sequence[Structure],
        leaves: Sequence[Leaves],
    ) -> None:
        self._structures = structures
        self._leaves = leaves
        self._energies = values["energy"].reshape(-1) if "energy" in values else None
        self.direct: list[dict[Role, ForceResult]] = [{} for _ in structures]
        if "force" in values:
            for results, given in zip(self.direct, self._direct(values), strict=True):
                results[Role.DIRECT] = given

    def complete(self) -> list[dict[Role, ForceResult]]:
        """The direct results and, if there are energies, the conservative ones."""
        if self._energies is None:
            return self.direct
        given = zip(self.direct, self._conservative(self._energies), strict=True)
        return [{**direct, Role.CONSERVATIVE: result} for direct, result in given]

    def _direct(self, values: Mapping[str, torch.Tensor]) -> Iterable[ForceResult]:
        """Cut the forces of all structures, which come in one array."""
        forces = to_numpy(values["force"]).reshape(-1, 3)
        stresses = np.zeros((len(self._structures), 3, 3))
        if "stress" in values:
            stresses = to_numpy(values["stress"]).reshape(-1, 3, 3)
        first = 0
        for structure, stress in zip(self._structures, stresses, strict=True):
            last = first + len(structure.numbers)
            volume = abs(np.linalg.det(structure.cell)) if structure.pbc.all() else 0.0
            yield ForceResult(0.0, forces[first:last], -volume * symmetric(stress))
            first = last

    def _conservative(self, energies: torch.Tensor) -> Iterable[ForceResult]:
        """Differentiate the energies."""
        inputs = [leaf for leaves in self._leaves for leaf in leaves]
        # lone atoms: an energy may not depend on all of them, nor on the strain
        gradients = iter(torch.autograd.grad(-energies.sum(), inputs, materialize_grads=True))
        for energy, leaves in zip(to_numpy(energies), self._leaves, strict=True):
            forces, *rest = map(to_numpy, islice(gradients, len(leaves)))
            virial = symmetric(rest[0]) if rest else np.zeros((3, 3))
            yield ForceResult(float(energy), forces, virial)


def to_numpy(tensor: torch.Tensor) -> NDArray[np.float64]:
    """Return the values as float64 on the CPU."""
    return tensor.detach().to(device="cpu", dtype=torch.float64).numpy()


def symmetric(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric part."""
    return 0.5 * (matrix + matrix.T)
