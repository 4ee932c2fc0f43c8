"""SevenNet: a checkpoint, or a model that its package brings or downloads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from ase.stress import voigt_6_to_full_3x3_stress

from ..base import Capabilities, Role, Structure
from ..spec import ModelSpec
from .atoms import results, to_atoms
from .batched import BatchedModel
from .engine import EngineOutputs, to_numpy
from .factory import find_factory, require_float32
from .loading import loading

__all__ = ["SevenNetModel", "load"]

TO_VOIGT = [0, 1, 2, 4, 5, 3]
"""The model has xx, yy, zz, xy, yz, zx."""


def load(spec: ModelSpec, device: str, dtype: str | None) -> SevenNetModel:
    """Load ``7net``, which is SevenNet-0, ``7net:NAME`` or ``7net:FILE``.

    Raises:
        ModelError: if there is no such model, or it cannot be loaded.
    """
    options = dict(spec.options)
    require_float32("SevenNet", options.pop("dtype", dtype))
    return SevenNetModel(spec.target or "7net-0", device=device, **options)


class SevenNetModel(BatchedModel):
    """A model of SevenNet, with conservative forces and stress, in float32.

    Args:
        model: a checkpoint, or the name of a model.
        device: where it runs.
        chunk: structures in a pass; ``None`` for as many as turn out to be quickest.
        modal: which level of theory, of a model with several.
        more: for ``sevenn.calculator.SevenNetCalculator``: ``enable_cueq`` and so on.

    Raises:
        ModelError: if there is no such model, or it cannot be loaded.
    """

    def __init__(
        self,
        model: str,
        *,
        device: str = "cpu",
        chunk: int | None = None,
        modal: str | None = None,
        **more: Any,
    ) -> None:
        make = find_factory("sevenn.calculator:SevenNetCalculator")
        with loading("7net", model):
            calculator = make(model=model, device=device, modal=modal, **more)
        self._device, self._modal = torch.device(device), calculator.modal
        self._model = calculator.model
        self._model.set_is_batch_data(True)
        roles = frozenset({Role.CONSERVATIVE})
        species = frozenset(map(int, calculator.type_map))
        super().__init__(
            f"7net:{model}",
            Capabilities(roles, roles, species, float(calculator.cutoff)),
            f"float32 on {device}",
            chunk,
        )

    def _forward(self, structures: Sequence[Structure], roles: frozenset[Role]) -> EngineOutputs:
        from torch_geometric.data import Batch

        batch = Batch.from_data_list([self._graph(s) for s in structures])
        output = self._model(batch.to(self._device))
        energies = to_numpy(output["inferred_total_energy"]).reshape(-1)
        forces = to_numpy(output["inferred_force"])
        voigt = to_numpy(output["inferred_stress"]).reshape(-1, 6)[:, TO_VOIGT]
        stresses = -voigt_6_to_full_3x3_stress(voigt)
        return EngineOutputs(
            structures, None, lambda: results(structures, energies, forces, stresses)
        )

    def _graph(self, structure: Structure) -> Any:
        """The structure with its neighbours."""
        from sevenn.atom_graph_data import AtomGraphData
        from sevenn.train.dataload import unlabeled_atoms_to_graph

        found = unlabeled_atoms_to_graph(to_atoms(structure), self.capabilities.cutoff or 0.0)
        found.pop("data_info")
        data = AtomGraphData.from_numpy_dict(found)
        if self._modal:
            data["data_modality"] = self._modal
        return data
