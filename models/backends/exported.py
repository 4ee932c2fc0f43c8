"""Opens exported metatomic models and says what they offer."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import metatomic.torch as mta

from ..base import Capabilities, Role
from ..errors import ModelError

__all__ = ["capabilities", "check_runs_as_asked", "load_exported", "output_names"]

logger = logging.getLogger(__name__)

OUTPUTS = {
    "energy": ("energy",),
    "force": ("non_conservative_force", "non_conservative_forces"),
    "stress": ("non_conservative_stress",),
}
"""The names of each output, the current one first."""


def load_exported(path: Path | str, extensions: str | None) -> mta.AtomisticModel:
    """Load the file; what metatomic and torch warn of goes to the log."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = mta.load_atomistic_model(path, extensions_directory=extensions)
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"expected an exported metatomic model, got '{path}', which does not load "
                f"({first_sentence(error)}); export it, for instance with 'mtt export'"
            ) from error
    for warning in caught:
        logger.info("%s: %s", path, warning.message)
    return model


def check_runs_as_asked(name: str, model: mta.AtomisticModel, device: str) -> None:
    """Raise ModelError if the model is not made for the device, or needs more inputs."""
    declared = model.capabilities()
    if device.partition(":")[0] not in declared.supported_devices:
        raise ModelError(
            f"expected a device that model '{name}' supports "
            f"({', '.join(declared.supported_devices)}), got {device}; change --device"
        )
    inputs = sorted(model.requested_inputs(use_new_names=True))
    if inputs:
        raise ModelError(
            f"expected a model of positions, cell and species only, got '{name}', which also wants "
            f"{', '.join(inputs)}; choose another model"
        )


def output_names(
    name: str, offered: Iterable[str], variant: str | None, direct_variant: str | None = None
) -> dict[str, str]:
    """Return the model's name for each output it has, of those in ``OUTPUTS``.

    Args:
        name: of the model, for messages.
        offered: its outputs.
        variant: which ones.
        direct_variant: which ones of direct forces and their stress, if others.
    """
    offered = sorted(offered)
    suffix = f"/{variant}" if variant else ""
    direct_suffix = f"/{direct_variant}" if direct_variant else suffix
    names = {}
    for kind, spellings in OUTPUTS.items():
        end = suffix if kind == "energy" else direct_suffix
        present = [s + end for s in spellings if s + end in offered]
        if present:
            names[kind] = present[0]
    if direct_variant and "force" not in names:
        raise ModelError(
            f"expected model '{name}' to offer non_conservative_force/{direct_variant}, got "
            f"{', '.join(o for o in offered if o.startswith('non_conservative_f')) or 'none'}; "
            f"correct non_conservative_variant in <parameters> model"
        )
    if not names.keys() & {"energy", "force"}:
        near = [o for o in offered if o.partition("/")[0] in OUTPUTS["energy"] + OUTPUTS["force"]]
        raise ModelError(
            f"expected model '{name}' to offer energy{suffix} or non_conservative_force{suffix}, "
            f"got {', '.join(near) or 'neither'}; choose a variant with 'FILE.pt?variant=NAME'"
        )
    return names


def capabilities(declared: mta.ModelCapabilities, names: Mapping[str, str]) -> Capabilities:
    """Translate what the model declares."""
    roles = {Role.CONSERVATIVE} if "energy" in names else set()
    stress = set(roles)
    if "force" in names:
        roles.add(Role.DIRECT)
        if "stress" in names:
            stress.add(Role.DIRECT)
    return Capabilities(
        roles=frozenset(roles),
        stress=frozenset(stress),
        species=frozenset(declared.atomic_types),
        cutoff=declared.engine_interaction_range("Angstrom"),
    )


def first_sentence(error: Exception) -> str:
    """Return how an error begins: what follows is a guess at causes."""
    return str(error).partition("\n")[0].partition(". ")[0]
