"""fairchem: eSEN with direct or conservative forces, UMA, and what else its checkpoints hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..base import Capabilities, Role, Structure
from ..errors import ModelError
from ..spec import ModelSpec
from .atoms import results, to_atoms
from .batched import BatchedModel
from .engine import EngineOutputs, to_numpy
from .factory import find_object
from .loading import loading

__all__ = ["FairchemModel", "load"]

MOLECULES = "omol"
"""The task whose models compute with charge and spin."""


def load(spec: ModelSpec, device: str, dtype: str | None) -> FairchemModel:
    """Load ``fairchem:NAME`` or ``fairchem:FILE``, with ``?task=NAME`` where a model has several.

    Raises:
        ModelError: if there is no such model or task, or it cannot be loaded.
    """
    options = dict(spec.options)
    task, chunk = options.pop("task", None), options.pop("chunk", None)
    dtype = options.pop("dtype", dtype) or "float32"
    unit = load_unit(spec.target, device, dtype, **options)
    return FairchemModel(f"fairchem:{spec.target}", unit, task, f"{dtype} on {device}", chunk)


def load_unit(target: str, device: str, dtype: str, **settings: Any) -> Any:
    """Return fairchem's ``MLIPPredictUnit``, which computes without TF32 and takes any batch.

    Args:
        target: a name or a file.
        device: ``cpu`` or ``cuda``.
        dtype: of weights and inputs.
        settings: further ones of its ``InferenceSettings``.

    Raises:
        ModelError: if neither a model nor a file is called so, or it cannot be loaded.
    """
    named: tuple[str, ...] = find_object("fairchem.core.calculate.pretrained_mlip:available_models")
    kind, _, index = device.partition(":")
    if index.strip("0"):
        raise ModelError(
            f"expected device cpu or cuda for fairchem, got {device}; choose the GPU by "
            f"CUDA_VISIBLE_DEVICES={index}"
        )
    path = Path(target).expanduser()
    if not path.is_file() and target not in named:
        raise ModelError(
            f"expected a file, or a model of fairchem ({', '.join(named)}), got '{target}'; check "
            f"its name"
        )
    with loading("fairchem", target):
        from fairchem.core.calculate.pretrained_mlip import get_predict_unit
        from fairchem.core.units.mlip_unit.api.inference import InferenceSettings

        chosen = InferenceSettings(base_precision_dtype=dtype, **settings)
        return get_predict_unit(
            str(path) if path.is_file() else target, inference_settings=chosen, device=kind
        )


class FairchemModel(BatchedModel):
    """A checkpoint of fairchem, for one of its tasks. Its forces are direct or conservative.

    Args:
        name: for messages.
        unit: ``MLIPPredictUnit``.
        task: ``omat``, ``omol``, …; ``None`` where the model has only one.
        setting: its precision and device, for messages.
        chunk: structures in a pass; ``None`` for as many as turn out to be quickest.

    Raises:
        ModelError: if the model lacks the task, or the task has no forces.
    """

    def __init__(
        self, name: str, unit: Any, task: str | None, setting: str, chunk: int | None = None
    ) -> None:
        self._unit, self._task = unit, choose(name, unit.dataset_to_tasks, task)
        self._dtype = unit.inference_settings.base_precision_dtype
        properties = {one.property for one in unit.dataset_to_tasks[self._task]}
        backbone = unit.model.module.backbone
        self._role = Role.DIRECT if backbone.regress_config.direct_forces else Role.CONSERVATIVE
        if "forces" not in properties:
            raise ModelError(
                f"expected forces from task {self._task} of '{name}', got {', '.join(properties)}; "
                f"take another task or model"
            )
        self._told = self._task == MOLECULES
        roles = frozenset({self._role})
        super().__init__(
            name,
            Capabilities(
                roles,
                roles if "stress" in properties else frozenset(),
                frozenset(range(1, getattr(backbone, "max_num_elements", 100))),
                getattr(backbone, "cutoff", None),
                inputs=frozenset({"charge", "spin"} if self._told else ()),
            ),
            setting,
            chunk,
        )

    def _forward(self, structures: Sequence[Structure], roles: frozenset[Role]) -> EngineOutputs:
        from fairchem.core.datasets.atomic_data import atomicdata_list_to_batch

        found = self._unit.predict(atomicdata_list_to_batch([self._data(s) for s in structures]))
        forces = to_numpy(found["forces"])
        stresses = to_numpy(found["stress"]).reshape(-1, 3, 3) if "stress" in found else None
        if self._role is Role.DIRECT:
            return EngineOutputs(structures, results(structures, None, forces, stresses), None)
        energies = to_numpy(found["energy"]).reshape(-1)
        return EngineOutputs(
            structures, None, lambda: results(structures, energies, forces, stresses)
        )

    def _data(self, structure: Structure) -> Any:
        from fairchem.core.datasets.atomic_data import AtomicData

        atoms = to_atoms(structure, self._told)
        self._unit.validate_atoms_data(atoms, self._task)
        return AtomicData.from_ase(
            atoms,
            task_name=self._task,
            r_data_keys=["spin", "charge"],
            target_dtype=self._dtype,
        )


def choose(name: str, offered: Sequence[str], task: str | None) -> str:
    """Return the task to compute.

    Raises:
        ModelError: if the model lacks it, or has several and none is named.
    """
    offered = list(offered)
    if task in offered:
        return str(task)
    if task is None and len(offered) == 1:
        return offered[0]
    raise ModelError(
        f"expected a task that '{name}' has ({', '.join(offered)}), got {task or 'none'}; write "
        f"{name}?task={offered[0]}"
    )
