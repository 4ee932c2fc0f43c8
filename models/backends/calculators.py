"""ASE calculators with a short name; further options are their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..spec import ModelSpec
from .ase import AseModel
from .factory import find_factory

__all__ = ["load_mace", "load_so3lr", "load_tblite"]


def load_so3lr(spec: ModelSpec, device: str, dtype: str | None) -> AseModel:
    """SO3LR with electrostatics and dispersion to 12 Å, the latter damped over the last 2 Å.

    Raises:
        ModelError: if something but options follows the name, or it cannot be made.
    """
    if spec.target:
        raise ModelError(f"expected 'so3lr' alone, got 'so3lr:{spec.target}'; options follow a '?'")
    options = dict(spec.options)
    defaults = {
        "default_dtype": options.pop("dtype", dtype) or "float64",
        "device": device,
        "compute_stress": True,
        "r_max_lr": 12.0,
        "dispersion_energy_cutoff_lr_damping": 2.0,
    }
    return _calculator(spec, "so3krates_torch.calculator.so3:SO3LRCalculator", defaults | options)


def load_tblite(spec: ModelSpec, device: str, dtype: str | None) -> AseModel:
    """A semi-empirical method, which knows neither device nor dtype.

    Raises:
        ModelError: if no method is named, or it cannot be made.
    """
    if not spec.target:
        raise ModelError("expected a method such as 'tblite:GFN2-xTB', got 'tblite'; name one")
    options = dict(spec.options)
    options.pop("dtype", None)
    return _calculator(spec, "tblite.ase:TBLite", {"method": spec.target, "verbosity": 0} | options)


def load_mace(spec: ModelSpec, device: str, dtype: str | None) -> AseModel:
    """A model file of MACE, in its own precision unless told.

    Raises:
        ModelError: if there is no such file, or it cannot be loaded.
    """
    path = Path(spec.target).expanduser()
    if not (spec.target and path.is_file()):
        raise ModelError(
            f"expected a MACE model file, got 'mace:{spec.target}', which does not exist in "
            f"{Path.cwd()}; write mace:FILE"
        )
    options = dict(spec.options)
    defaults = {
        "model_paths": str(path),
        "device": device,
        "default_dtype": options.pop("dtype", dtype) or "",
    }
    return _calculator(spec, "mace.calculators:MACECalculator", defaults | options)


def _calculator(spec: ModelSpec, factory: str, options: dict[str, Any]) -> AseModel:
    name = f"{spec.kind}:{spec.target}".rstrip(":")
    return AseModel(name, find_factory(factory), options)
