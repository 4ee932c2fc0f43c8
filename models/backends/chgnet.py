"""CHGNet: one of the models that its package brings, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.units import GPa

from ..base import Capabilities, Role, Structure
from ..spec import ModelSpec
from .atoms import results, to_atoms
from .batched import BatchedModel
from .engine import EngineOutputs, to_numpy
from .factory import find_factory, require_float32
from .loading import loading

__all__ = ["CHGNetModel", "load"]


def load(spec: ModelSpec, device: str, dtype: str | None) -> CHGNetModel:
    """Load ``chgnet``, which is its newest model, ``chgnet:NAME`` or ``chgnet:FILE``.

    Raises:
        ModelError: if there is no such model, or it cannot compute in this precision.
    """
    options = dict(spec.options)
    require_float32("CHGNet", options.pop("dtype", dtype))
    return CHGNetModel(spec.target or None, device=device, **options)


class CHGNetModel(BatchedModel):
    """A CHGNet, with conservative forces and stress, in float32. It knows no total charge.

    Args:
        model: ``0.3.0``, ``0.2.0``, ``r2scan`` or a file; ``None`` for the newest.
        device: where it runs.
        chunk: structures in a pass; ``None`` for as many as turn out to be quickest.

    Raises:
        ModelError: if there is no such model, or it cannot be loaded.
    """

    def __init__(
        self, model: str | None = None, *, device: str = "cpu", chunk: int | None = None
    ) -> None:
        chgnet: Any = find_factory("chgnet.model:CHGNet")
        name, self._device = "" if model is None else str(model), device
        with loading("chgnet", name):
            if Path(name).is_file():
                self._model = chgnet.from_file(name).to(device)
            else:
                chosen = {"model_name": name} if name else {}
                self._model = chgnet.load(use_device=device, verbose=False, **chosen)
        # atoms alone, such as those that leave a molecule, are none of its concern
        self._model.graph_converter.set_isolated_atom_response("ignore")
        roles = frozenset({Role.CONSERVATIVE})
        cutoff = float(self._model.graph_converter.atom_graph_cutoff)
        super().__init__(
            f"chgnet:{name}".rstrip(":"),
            Capabilities(roles, roles, frozenset(range(1, 95)), cutoff),
            f"float32 on {device}",
            chunk,
        )

    def _forward(self, structures: Sequence[Structure], roles: frozenset[Role]) -> EngineOutputs:
        graphs = [self._graph(s) for s in structures]
        found = self._model(graphs, task="efs" if self.needs_virial else "ef")
        sizes = np.array([len(s.numbers) for s in structures])
        energies = to_numpy(found["e"]) * (sizes if self._model.is_intensive else 1)
        forces = to_numpy(torch.cat(found["f"]))
        stresses = None
        if "s" in found:
            stresses = GPa * to_numpy(torch.stack(found["s"]))
        return EngineOutputs(
            structures, None, lambda: results(structures, energies, forces, stresses)
        )

    def _graph(self, structure: Structure) -> Any:
        from pymatgen.io.ase import AseAtomsAdaptor

        atoms = to_atoms(structure)
        atoms.cell = atoms.cell.complete()  # a molecule needs one too, of any size
        graph = self._model.graph_converter(AseAtomsAdaptor.get_structure(atoms))
        return graph.to(self._device)
