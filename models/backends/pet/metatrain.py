"""metatrain's PET: made, read, written and exported."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ModelError, Unsupported
from ...files import draft_of

if TYPE_CHECKING:
    from metatrain.pet import PET

__all__ = [
    "DIRECT",
    "ENERGY",
    "STRESS",
    "baseline_of",
    "check_covers",
    "check_installed",
    "export",
    "import_pet",
    "new",
    "read",
    "rescale",
    "write",
]

ENERGY = "energy"
DIRECT = "non_conservative_force"
STRESS = "non_conservative_stress"

TARGETS: dict[str, dict[str, Any]] = {
    ENERGY: {"quantity": "energy", "unit": "eV", "sample_kind": "system", "type": "scalar"},
    DIRECT: {
        "quantity": "force",
        "unit": "eV/Angstrom",
        "sample_kind": "atom",
        "type": {"cartesian": {"rank": 1}},
    },
    STRESS: {
        "quantity": "pressure",
        "unit": "eV/Angstrom^3",
        "sample_kind": "system",
        "type": {"cartesian": {"rank": 2}},
    },
}


def check_installed() -> None:
    """Raise ModelError, naming the extra, unless metatrain is installed."""
    if importlib.util.find_spec("metatrain") is None:
        raise ModelError(
            "expected metatrain, whose PET is what is trained, got no such package; "
            'install it with: pip install "halfkick[train]"'
        )


def import_pet() -> type[PET]:
    """Return metatrain's PET; what it and its dependencies have to say at import is left out."""
    check_installed()
    logging.getLogger("metatrain").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from metatrain.pet import PET
    return PET


def new(
    species: Sequence[int],
    heads: Sequence[str],
    architecture: Mapping[str, Any],
    baseline: Mapping[int, float],
) -> PET:
    """Return a network with fresh weights.

    Args:
        species: atomic numbers it will know.
        heads: its outputs, of ``TARGETS``.
        architecture: metatrain's options of PET that are not its default.
        baseline: energy of an atom of each species, eV; the network adds it.
    """
    pet = import_pet()
    from metatrain.utils.architectures import get_default_hypers
    from metatrain.utils.data import DatasetInfo
    from metatrain.utils.data.target_info import get_energy_target_info, get_generic_target_info
    from omegaconf import OmegaConf

    targets = {}
    for name in heads:
        options = OmegaConf.create(
            {**TARGETS[name], "per_atom": False, "num_subtargets": 1, "description": ""}
        )
        make = get_energy_target_info if name == ENERGY else get_generic_target_info
        targets[name] = make(name, options)
    info = DatasetInfo(length_unit="angstrom", atomic_types=sorted(species), targets=targets)
    model = pet(get_default_hypers("pet")["model"] | dict(architecture), info)
    if ENERGY in heads:
        set_baseline(model, baseline)
    return model


def set_baseline(model: PET, baseline: Mapping[int, float]) -> None:
    """Let the network add ``baseline`` (eV by species) to its energies."""
    import metatensor.torch as mts

    composition = model.additive_models[0]
    weights = {z: float(baseline[z]) for z in model.atomic_types}
    composition.model.fit({ENERGY: weights}, [ENERGY])
    fitted = mts.make_contiguous(composition.model.weights[ENERGY])
    composition.register_buffer(f"{ENERGY}_composition_buffer", mts.save_buffer(fitted))


def baseline_of(model: PET) -> dict[int, float]:
    """Return the energies of atoms, eV by species, that the network adds; zeros if it has none."""
    weights = model.additive_models[0].model.weights
    if ENERGY not in weights:
        return dict.fromkeys(model.atomic_types, 0.0)
    values = weights[ENERGY].block().values.flatten().tolist()
    return dict(zip(model.atomic_types, values, strict=True))


def read(path: Path) -> PET:
    """Read a metatrain checkpoint of a PET.

    Raises:
        ModelError: if the file is no such checkpoint.
    """
    import_pet()
    import torch
    from metatrain.utils.io import model_from_checkpoint

    try:
        checkpoint = torch.load(path, weights_only=False, map_location="cpu")
        name = checkpoint["architecture_name"]
        model = model_from_checkpoint(checkpoint, context="export") if name == "pet" else None
    except Exception as error:  # unpickling a file that is something else raises anything
        raise ModelError(
            f"expected a metatrain checkpoint (.ckpt), got '{path}', which does not load "
            f"({type(error).__name__}: {error}); check --start"
        ) from error
    if model is None:
        raise ModelError(f"expected a checkpoint of PET, got one of '{name}'; check --start")
    return model


def check_covers(model: PET, heads: Sequence[str], species: Sequence[int]) -> None:
    """Raise ModelError unless the network has the outputs and species, and can be trained."""
    from ase.data import chemical_symbols

    from .config import PETConfig

    try:
        PETConfig.from_backend(model.backend)
    except Unsupported as part:
        raise ModelError(
            f"expected a checkpoint of a PET without parts that are not known here, got one with "
            f"{part}; fine-tune it with metatrain ('mtt train'), and serve the exported model"
        ) from None
    lacking = [h for h in heads if h not in model.backend.node_heads]
    lacking += [chemical_symbols[z] for z in species if z not in model.atomic_types]
    if lacking:
        known = [*model.backend.node_heads, *(chemical_symbols[z] for z in model.atomic_types)]
        raise ModelError(
            f"expected a checkpoint with {', '.join(lacking)}, got one with {', '.join(known)}; "
            f"leave --start out"
        )


def rescale(model: PET, factor: float) -> None:
    """Multiply all outputs of the network, baseline aside, by ``factor``."""
    import torch

    backend = model.backend
    with torch.no_grad():
        for layers in (backend.node_last_layers, backend.edge_last_layers):
            for parameter in layers.parameters():
                parameter.mul_(factor)


def write(model: PET, path: Path) -> None:
    """Write a metatrain checkpoint."""
    import torch

    with draft_of(path) as draft:
        torch.save(model.get_checkpoint(), draft)


def export(model: PET, path: Path) -> None:
    """Write the network as a metatomic model."""
    import copy

    with warnings.catch_warnings():  # torch deprecates TorchScript, which metatomic is made of
        warnings.simplefilter("ignore")
        copy.deepcopy(model).cpu().eval().export().save(str(path))
