"""The two forces that an input names, whether of one model or of two, and both on its frames."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ....models.base import ForceModel, Role, Structure, without_mean_force
from ....models.errors import ModelError
from ....models.pair import Pair
from ....models.spec import ModelSpec
from ...run.job import Job

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["both_forces", "load_pair", "structure_of"]

log = logging.getLogger(__name__)


def load_pair(job: Job, device: str = "cpu", dtype: str | None = None) -> Pair:
    """Load what the force fields of an input name.

    A role that no force field has is asked of the models of the others: a run on direct forces
    alone shows what the conservative ones would have been. What cannot be had is left out, with a
    warning.
    """
    from ....models.load import load_model

    loaded: dict[str, ForceModel] = {}
    models: dict[Role, ForceModel] = {}
    for role in Role:
        for spec in _specifications(job, role):
            try:
                if spec not in loaded:
                    loaded[spec] = load_model(spec, device=device, dtype=dtype)
            except ModelError as error:
                log.warning("no %s forces: %s", role, error)
                continue
            if role in loaded[spec].capabilities.roles:
                models[role] = loaded[spec]
                break
    return Pair(models)


def both_forces(pair: Pair, frames: Sequence[Atoms]) -> dict[Role, list[NDArray[np.float64]]]:
    """Forces (eV/Å) of frames, as they are served, for each role there is."""
    roles = pair.capabilities.roles
    found: dict[Role, list[NDArray[np.float64]]] = {role: [] for role in sorted(roles)}
    for frame in frames if roles else ():
        (results,) = pair.evaluate([structure_of(frame)], roles)
        for role, result in results.items():
            direct = role is Role.DIRECT
            found[role].append(without_mean_force(result.forces) if direct else result.forces)
    return found


def structure_of(frame: Atoms) -> Structure:
    """A frame for a model; its neighbour list may serve the next one."""
    return Structure(frame.numbers, frame.positions, frame.cell.array, frame.pbc, "frames")


def _specifications(job: Job, role: Role) -> list[str]:
    """Of the models, those that serve the role first; files as seen from here."""
    named = [e.parameters for e in job.endpoints if e.parameters and e.parameters.get("model")]
    named.sort(key=lambda p: p.get("role") != str(role))
    names = dict.fromkeys(p["model"] for p in named)
    return [str(ModelSpec.parse(name).in_folder(job.folder)) for name in names]
