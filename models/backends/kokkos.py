"""PET checkpoints run by pet-kokkos: conservative forces without PyTorch, fast on a GPU.

https://github.com/peterspackman/pet-kokkos reads a model as JSON and safetensors, with metatrain's
names for the weights.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base import Capabilities, ForceModel, ForceResult, Role, Structure
from ..errors import ModelError
from ..spec import ModelSpec
from .wrap import near_origin

if TYPE_CHECKING:
    from metatrain.pet import PET

__all__ = ["KokkosModel", "convert", "load"]

HYPERS = (
    "activation", "adaptive_cutoff_method", "attention_temperature", "cutoff", "cutoff_function",
    "cutoff_width", "cutoff_width_adaptive", "d_feedforward", "d_head", "d_node", "d_pet",
    "featurizer_type", "max_charge", "max_spin_multiplicity", "normalization",
    "num_attention_layers", "num_gnn_layers", "num_heads", "num_neighbors_adaptive",
    "system_conditioning", "transformer_type", "zbl",
)  # fmt: skip
BACKBONE = (
    *("gnn_layers", "combination_norms", "combination_mlps", "node_embedders"),
    *("edge_embedder", "system_conditioning"),
)
HEADS = ("node_heads", "edge_heads", "node_last_layers", "edge_last_layers")
VOIGT = [[0, 3, 4], [3, 1, 5], [4, 5, 2]]
"""Where xx, yy, zz, xy, xz, yz stand in a matrix."""


def load(spec: ModelSpec, device: str, dtype: str | None) -> KokkosModel:
    """Load a metatrain checkpoint; pet-kokkos chooses device and dtype when it is built.

    Raises:
        ModelError: if another engine is asked for, or the model cannot be loaded.
    """
    options = dict(spec.options)
    engine, tf32 = options.pop("engine", None), options.pop("tf32", False)
    path = Path(spec.target)
    if engine != "kokkos" or options:
        raise ModelError(
            f"expected '{path.name}?engine=kokkos' or '{path.name}?engine=kokkos&tf32=True' for a "
            f"checkpoint, got {options or engine}; to run it with PyTorch name the exported .pt"
        )
    return KokkosModel(path, tf32=tf32)


class KokkosModel(ForceModel):
    """A metatrain checkpoint of a PET, evaluated by pet-kokkos.

    Args:
        path: the ``.ckpt`` file.
        tf32: whether a GPU may round matrix products to TF32.

    Raises:
        ModelError: if a package is missing or the checkpoint is of another kind.
    """

    def __init__(self, path: Path | str, *, tf32: bool = False) -> None:
        try:
            import pet_kokkos
            import safetensors  # noqa: F401 - wanted by convert()
        except ImportError as error:
            raise ModelError(
                f"expected the packages of engine=kokkos, got {error}; "
                f'install it with: pip install "halfkick[kokkos]"'
            ) from error
        self.name = Path(path).stem
        mode = "tf32" if tf32 else "native"
        with tempfile.TemporaryDirectory() as folder:
            prefix = convert(Path(path), Path(folder))
            try:
                self._calculator = pet_kokkos.Calculator(str(prefix), gemm=mode, attention=mode)
            except (RuntimeError, ValueError) as error:
                raise ModelError(
                    f"expected a PET that pet-kokkos can run, got '{path}': {error}; "
                    f"use the exported model"
                ) from error
        self.capabilities = Capabilities(
            roles=frozenset({Role.CONSERVATIVE}),
            stress=frozenset({Role.CONSERVATIVE}),
            species=frozenset(self._calculator.atomic_types),
            cutoff=self._calculator.cutoff,
        )

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        """Evaluate all structures as one batch."""
        for structure in structures:
            for role in roles:
                self.check(structure.numbers, role)
        batch = [
            (s.numbers, near_origin(s), s.cell if s.pbc.any() else None, s.pbc) for s in structures
        ]
        answers = self._calculator.compute_batch(batch) if batch else []
        return [{Role.CONSERVATIVE: _result(answer)} for answer in answers]


def _result(answer: Mapping[str, Any]) -> ForceResult:
    """Take over a result; pet-kokkos gives V σ, which is the negative of our virial."""
    virial = -np.asarray(answer["virial"])[VOIGT] if "virial" in answer else np.zeros((3, 3))
    return ForceResult(float(answer["energy"]), np.array(answer["forces"]), virial)


def convert(path: Path, folder: Path) -> Path:
    """Write what pet-kokkos reads of a metatrain checkpoint; the files' path without suffix.

    Raises:
        ModelError: if metatrain is missing or the checkpoint is no PET with an energy.
    """
    from safetensors.torch import save_file

    from .pet.metatrain import ENERGY, read

    model = read(path)
    if ENERGY not in model.backend.node_heads:
        raise ModelError(f"expected a PET with an energy, got '{path}'; train one, or use its .pt")
    weights = {k.removeprefix("backend."): v for k, v in model.state_dict().items()}
    prefix = folder / "model"
    kept = tuple(f"{name}." for name in BACKBONE) + tuple(f"{name}.energy." for name in HEADS)
    tensors = {
        name: tensor.detach().float().contiguous()
        for name, tensor in weights.items()
        if name.startswith(kept) and tensor.is_floating_point()
    }
    save_file(tensors, str(prefix.with_suffix(".safetensors")))
    prefix.with_suffix(".json").write_text(json.dumps(_description(model)))
    return prefix


def _description(model: PET) -> dict[str, Any]:
    """Architecture, species and baseline of a PET."""
    hypers = model.hypers
    species = [int(number) for number in model.atomic_types]
    layers = hypers["num_gnn_layers"]
    kept = {name: hypers[name] for name in HYPERS if name in hypers}
    kept["head_dim"] = hypers["d_pet"] // hypers["num_heads"]
    kept["num_readout_layers"] = 1 if hypers["featurizer_type"] == "feedforward" else layers
    kept["long_range_enabled"] = bool(hypers.get("long_range", {}).get("enable", False))
    return {
        "format_version": 1,
        "architecture": "pet",
        "target": "energy",
        "hypers": kept,
        "length_unit": "angstrom",
        "energy_unit": "eV",
        "energy_scale": _values(model.scaler.model.scales)[0],
        "n_species": len(species),
        "atomic_types": species,
        "species_to_index": [int(index) for index in model.backend.species_to_species_index],
        "composition_energies": _values(model.additive_models[0].model.weights),
    }


def _values(maps: Mapping[str, Any]) -> list[float]:
    """The numbers that belong to the energy, one for each species or one in all."""
    values = maps["energy"].block(0).values
    return values.reshape(len(values), -1)[:, 0].double().tolist()
