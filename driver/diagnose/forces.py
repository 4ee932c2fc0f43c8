"""Both forces on frames of a run, by the models that its input names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from halfkick.driver.diagnose.outputs import Run
from halfkick.models.base import ModelError, Role, Structure, without_mean_force

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["both_forces"]

log = logging.getLogger(__name__)


def both_forces(
    run: Run, frames: Sequence[Atoms], device: str = "cpu", dtype: str | None = None
) -> dict[Role, list[NDArray[np.float64]]]:
    """Evaluate the direct and the conservative forces (eV/Å) of frames, as they are served.

    A role that no force field of the input has is asked of the models of the others: a run on
    direct forces alone shows what the conservative ones would have been. What cannot be had is
    left out, with a warning.
    """
    from halfkick.models.load import load_model

    found: dict[Role, list[NDArray[np.float64]]] = {}
    for role in Role:
        for spec in _models(run, role):
            try:
                model = load_model(spec, device=device, dtype=dtype)
                if role in model.capabilities.roles:
                    found[role] = [_forces(model, frame, role) for frame in frames]
                    break
            except ModelError as error:
                log.warning("no %s forces in the report: %s", role, error)
    return found


def _models(run: Run, role: Role) -> list[str]:
    """Specifications of models, those that serve the role first."""
    parameters = [endpoint.parameters or {} for endpoint in run.job.endpoints]
    named = [p for p in parameters if p.get("model")]
    named.sort(key=lambda p: p.get("role") != str(role))
    folder = run.job.folder
    specs = (p["model"] for p in named)
    return [
        str(folder / s) if (folder / s.partition("?")[0]).is_file() else s
        for s in dict.fromkeys(specs)
    ]


def _forces(model, frame: Atoms, role: Role) -> NDArray[np.float64]:  # noqa: ANN001
    structure = Structure(frame.numbers, frame.positions, frame.cell.array, frame.pbc, "frames")
    (results,) = model.evaluate([structure], frozenset({role}))
    forces = results[role].forces
    return without_mean_force(forces) if role is Role.DIRECT else forces
