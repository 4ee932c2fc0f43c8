"""Orb: direct and conservative models, and networks that hold both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ase.stress import voigt_6_to_full_3x3_stress

from ..base import Capabilities, ForceResult, Role, Structure
from ..errors import ModelError
from ..spec import ModelSpec
from .atoms import check_periodicity, results, to_atoms
from .batched import BatchedModel
from .engine import EngineOutputs, to_numpy
from .factory import find_object
from .loading import loading

__all__ = ["OrbModel", "load"]

DIRECT = ("forces", "stress")
"""Heads for direct forces and their stress."""

PRECISIONS = {"float32": "float32-highest", "float64": "float64"}


def load(spec: ModelSpec, device: str, dtype: str | None) -> OrbModel:
    """Load ``orb:NAME``, ``orb:FILE`` of a whole model, or ``orb:FILE?architecture=NAME``.

    Raises:
        ModelError: if there is no such model, or it cannot be loaded.
    """
    options = dict(spec.options)
    dtype = options.pop("dtype", dtype) or "float32"
    if dtype not in PRECISIONS:
        raise ModelError(f"expected dtype float32 or float64 for Orb, got {dtype}; change it")
    gradient, chunk = options.pop("gradient", False), options.pop("chunk", None)
    network = load_network(spec.target, device, dtype, **options)
    return OrbModel(f"orb:{spec.target}", network, device, dtype, gradient=gradient, chunk=chunk)


def load_network(
    target: str, device: str, dtype: str, architecture: str | None = None, compile: bool = False
) -> Any:
    """Return a regressor of Orb, in the precision asked for.

    Raises:
        ModelError: if neither a model nor a file is called so, or it cannot be loaded.
    """
    named: dict[str, Any] = find_object("orb_models.forcefield.pretrained:ORB_PRETRAINED_MODELS")
    name, path = architecture or target, Path(target).expanduser()
    how = {"device": device, "precision": PRECISIONS[dtype], "compile": compile}
    if path.is_file() and architecture is None:
        with loading("orb", target):
            network = torch.load(path, map_location="cpu", weights_only=False)
        if not hasattr(network, "heads"):
            raise ModelError(
                f"expected a whole model of Orb in '{target}', got {type(network).__name__}; for "
                f"weights alone write orb:{target}?architecture=NAME, such as {next(iter(named))}"
            )
        return network.to(device=device, dtype=getattr(torch, dtype)).eval().requires_grad_(False)
    if name not in named:
        raise ModelError(
            f"expected a file, or a model of Orb ({', '.join(named)}), got '{name}'; check its name"
        )
    with loading("orb", target):
        return named[name](**how, **({"weights_path": str(path)} if architecture else {}))


class OrbModel(BatchedModel):
    """A regressor of Orb.

    A direct one has direct forces, with its pair repulsion. A conservative one has the gradient of
    its energy, and direct forces too where it has a head for them: as they are, since its training
    compares that head with whole forces.

    Args:
        name: for messages.
        network: ``DirectForcefieldRegressor`` or ``ConservativeForcefieldRegressor``.
        device: where it runs.
        dtype: in which.
        gradient: whether a direct one serves the gradient of its energy as conservative forces,
            from the same pass, the repulsion in both.
        chunk: structures in a pass; ``None`` for as many as turn out to be quickest.
    """

    def __init__(
        self,
        name: str,
        network: Any,
        device: str = "cpu",
        dtype: str = "float32",
        *,
        gradient: bool = False,
        chunk: int | None = None,
    ) -> None:
        self._device, self._dtype = device, getattr(torch, dtype)
        self._config = network.system_config
        self._told = type(network.model.conditioner).__name__ == "ChargeSpinConditioner"
        self._direct, self._conservative = parts(network, gradient)
        offers = {Role.DIRECT: self._direct, Role.CONSERVATIVE: self._conservative}
        known = {role: part for role, part in offers.items() if part is not None}
        super().__init__(
            name,
            Capabilities(
                frozenset(known),
                frozenset(role for role, part in known.items() if part.has_stress),
                frozenset(range(1, 118)),
                float(self._config.radius),
                inputs=frozenset({"charge", "spin"} if self._told else ()),
            ),
            f"{dtype} on {device}",
            chunk,
        )

    def _forward(self, structures: Sequence[Structure], roles: frozenset[Role]) -> EngineOutputs:
        from orb_models.forcefield.base import batch_graphs

        graphs = batch_graphs([self._graph(s) for s in structures])
        if Role.CONSERVATIVE not in roles:
            with torch.no_grad():
                found = self._direct.predict(graphs)
            return EngineOutputs(structures, self._results(structures, found), None)
        found = self._conservative.predict(graphs)
        direct = None
        if Role.DIRECT in roles:
            repulsion = (
                self._direct.pair_repulsion_fn(graphs) if self._direct.pair_repulsion else {}
            )
            whole = {n: found[n] + repulsion.get(n, 0.0) for n in DIRECT if n in found}
            direct = self._results(structures, whole)
        return EngineOutputs(
            structures, direct, lambda: self._results(structures, found, "grad_", found["energy"])
        )

    def _results(
        self,
        structures: Sequence[Structure],
        found: Mapping[str, torch.Tensor],
        prefix: str = "",
        energies: torch.Tensor | None = None,
    ) -> Iterable[ForceResult]:
        """What the regressor found, as results."""
        stresses = found.get(f"{prefix}stress")
        return results(
            structures,
            None if energies is None else to_numpy(energies).reshape(-1),
            to_numpy(found[f"{prefix}forces"]),
            None if stresses is None else voigt_6_to_full_3x3_stress(to_numpy(stresses)),
        )

    def _graph(self, structure: Structure) -> Any:
        from orb_models.forcefield.atomic_system import ase_atoms_to_atom_graphs

        check_periodicity(self.name, structure)
        return ase_atoms_to_atom_graphs(
            to_atoms(structure, self._told),
            system_config=self._config,
            device=torch.device(self._device),
            output_dtype=self._dtype,
            graph_construction_dtype=self._dtype,
        )


def parts(network: Any, gradient: bool) -> tuple[Any, Any]:
    """What gives direct and what gives conservative forces; ``None`` where nothing does.

    Raises:
        ModelError: if neither does.
    """
    from orb_models.forcefield.conservative_regressor import ConservativeForcefieldRegressor
    from orb_models.forcefield.direct_regressor import DirectForcefieldRegressor

    heads = dict(network.heads.items())
    direct = {name: heads[name] for name in DIRECT if name in heads}
    same = {"model": network.model, "system_config": network.system_config}
    place = next(network.parameters())
    if isinstance(network, ConservativeForcefieldRegressor):
        return DirectForcefieldRegressor(direct, **same) if "forces" in direct else None, network
    if "forces" not in direct:
        raise ModelError(
            f"expected a model of Orb with forces, got heads {', '.join(heads)}; take another one"
        )
    if not gradient:
        return network, None
    both = ConservativeForcefieldRegressor(
        heads,
        pair_repulsion=network.pair_repulsion,
        ensure_grad_loss_weights=False,
        **same,
    )
    return network, both.to(place.device, place.dtype).eval().requires_grad_(False)
