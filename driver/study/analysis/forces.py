"""The two forces that an input names, whether of one model or of two, and both on its frames."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ....models.base import ForceModel, Inputs, Role
from ....models.errors import ModelError
from ....models.frames import structure_of
from ....models.pair import Pair
from ....models.served import served_forces
from ....models.spec import ModelSpec
from ...ipi.sockets import Socket
from ...server.template import read_template

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["both_forces", "load_pair"]

log = logging.getLogger(__name__)


def load_pair(
    sockets: Sequence[Socket], folder: Path, device: str = "cpu", dtype: str | None = None
) -> Pair:
    """Load what force fields of an input, which stands in a folder, name.

    A role that no force field has is asked of the models of the others: a run on direct forces
    alone shows what the conservative ones would have been. What cannot be had is left out, with a
    warning. Each model is told of the charge, spin and so on of its template, which i-PI's
    trajectories say nothing of.
    """
    from ....models.load import load_model

    loaded: dict[str, ForceModel] = {}
    models: dict[Role, ForceModel] = {}
    inputs: dict[Role, Inputs] = {}
    for role in Role:
        for spec, template, parameters in _named(sockets, folder, role):
            try:
                if spec not in loaded:
                    loaded[spec] = load_model(spec, device=device, dtype=dtype)
            except ModelError as error:
                log.warning("no %s forces: %s", role, error)
                continue
            if role in loaded[spec].capabilities.roles:
                models[role] = loaded[spec]
                if template is not None:
                    inputs[role] = read_template(template, parameters).inputs
                break
    return Pair(models, inputs)


def both_forces(pair: Pair, frames: Sequence[Atoms]) -> dict[Role, list[NDArray[np.float64]]]:
    """Forces of frames as they are served, eV/Å, shape (N, 3) of each frame, for each role."""
    roles = pair.capabilities.roles
    forces: dict[Role, list[NDArray[np.float64]]] = {role: [] for role in sorted(roles)}
    for frame in frames if roles else ():
        (results,) = pair.evaluate([structure_of(frame, "frames")], roles)
        for role, result in results.items():
            forces[role].append(served_forces(result.forces, role))
    return forces


def _named(
    sockets: Sequence[Socket], folder: Path, role: Role
) -> Iterator[tuple[str, Path | None, Mapping[str, str]]]:
    """Models, those that serve the role first, templates if they are there, and all parameters.

    Files are as seen from here.
    """
    named = [p for s in sockets if (p := s.parameters) and p.get("model")]
    named.sort(key=lambda p: p.get("role") != str(role))
    for parameters in named:
        template = folder / parameters.get("template", "")
        spec = ModelSpec.parse(parameters["model"]).in_folder(folder)
        yield str(spec), template if template.is_file() else None, parameters
