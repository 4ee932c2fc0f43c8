"""Any model of TorchSim: several structures go through it in one pass.

Releases for Python 3.11 (0.3) know structures that are periodic in all directions or in none;
later ones each direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch

from ..base import Capabilities, ForceResult, Role, Structure
from ..errors import ModelError
from ..spec import ModelSpec
from .atoms import results, to_atoms
from .batched import BatchedModel
from .conventions import role_of
from .engine import EngineOutputs, to_numpy
from .factory import find_factory, find_object, with_device_and_dtype
from .loading import loading

__all__ = ["TorchSimModel", "load"]


def load(spec: ModelSpec, device: str, dtype: str | None) -> TorchSimModel:
    """Make the model that ``module:factory`` gives.

    Options are those of the factory, but for ``chunk``: structures in a pass.

    Raises:
        ModelError: if there is no such function, or what it returns is no model of TorchSim.
    """
    interface = find_object("torch_sim.models.interface:ModelInterface")
    factory = find_factory(spec.target)
    options = dict(spec.options)
    chunk = options.pop("chunk", None)
    options = with_device_and_dtype(factory, options, device, dtype, always=("device",))
    if "device" in options:
        options["device"] = torch.device(options["device"])
    if "dtype" in options:
        options["dtype"] = getattr(torch, options["dtype"])
    with loading("torchsim", spec.target):
        model = factory(**options)
    if not isinstance(model, interface):
        raise ModelError(
            f"expected '{spec.target}' to return a model of TorchSim, got {type(model).__name__}; "
            f"for an ASE calculator write 'ase:{spec.target}'"
        )
    if not model.compute_forces:
        raise ModelError(
            f"expected '{spec.target}' to compute forces, got a model told not to; write "
            f"torchsim:{spec.target}?compute_forces=True"
        )
    return TorchSimModel(f"torchsim:{spec.target}", model, chunk)


class TorchSimModel(BatchedModel):
    """A ``torch_sim.models.interface.ModelInterface``, on its device and in its precision.

    Its forces are what it says of itself, as an ASE calculator's are, else conservative.

    Args:
        name: for messages.
        model: with energy and forces.
        chunk: structures in a pass; ``None`` for as many as turn out to be quickest.
    """

    def __init__(self, name: str, model: Any, chunk: int | None = None) -> None:
        self._model = model
        self._role = role_of(model) or Role.CONSERVATIVE
        roles = frozenset({self._role})
        super().__init__(
            name,
            Capabilities(roles, roles if model.compute_stress else frozenset()),
            f"{model.dtype} on {model.device}",
            chunk,
        )

    def _forward(self, structures: Sequence[Structure], roles: frozenset[Role]) -> EngineOutputs:
        found = [
            result
            for _, same in groupby(structures, lambda s: s.pbc.tobytes())
            for result in self._evaluate(list(same))
        ]
        if self._role is Role.DIRECT:
            return EngineOutputs(structures, found, None)
        return EngineOutputs(structures, None, lambda: found)

    def _evaluate(self, structures: Sequence[Structure]) -> list[ForceResult]:
        """One pass, for structures that are periodic in the same directions."""
        from torch_sim.io import atoms_to_state

        some = [to_atoms(s) for s in structures]
        state = atoms_to_state(some, self._model.device, self._model.dtype)
        pbc, known = structures[0].pbc, np.broadcast_to(np.asarray(state.pbc), 3)
        if (pbc != known).any():
            raise ModelError(
                f"expected a structure periodic in all directions or none for '{self.name}', got "
                f"pbc {' '.join('FT'[int(p)] for p in pbc)}, which this TorchSim takes for "
                f"{' '.join('FT'[int(p)] for p in known)}; make a slab periodic with a vacuum, or "
                f"take a later one"
            )
        output = self._model(state)
        energies = None if self._role is Role.DIRECT else to_numpy(output["energy"]).reshape(-1)
        stresses = to_numpy(output["stress"]) if "stress" in output else None
        return list(results(structures, energies, to_numpy(output["forces"]), stresses))
