"""ASE calculators with a short name; further options are their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..spec import ModelSpec
from .ase import AseModel
from .factory import find_factory, require_float32

__all__ = ["load_mace", "load_mattersim", "load_nequip", "load_so3lr", "load_tblite"]

NEWEST_MATTERSIM = "mattersim-v1.0.0-1m"


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
    path = _file(spec, "a MACE model file")
    options = dict(spec.options)
    defaults = {
        "model_paths": path,
        "device": device,
        "default_dtype": options.pop("dtype", dtype) or "",
    }
    return _calculator(spec, "mace.calculators:MACECalculator", defaults | options)


def load_mattersim(spec: ModelSpec, device: str, dtype: str | None) -> AseModel:
    """A model of MatterSim by name, which is downloaded if need be, or by file; in float32.

    Raises:
        ModelError: if it cannot be loaded, or is asked for in another precision.
    """
    options = dict(spec.options)
    require_float32("MatterSim", options.pop("dtype", dtype))
    path = Path(spec.target).expanduser()
    options["load_path"] = str(path) if path.is_file() else spec.target or NEWEST_MATTERSIM
    return _downloaded(
        spec,
        "mattersim.forcefield:MatterSimCalculator.from_checkpoint",
        {"device": device} | options,
    )


def load_nequip(spec: ModelSpec, device: str, dtype: str | None) -> AseModel:
    """A model of NequIP or Allegro: compiled (``.pt2``, ``.pth``), or as it is saved or packaged.

    Raises:
        ModelError: if there is no such file, it cannot be loaded, or is asked for in a precision.
    """
    path = _file(spec, "a file of NequIP or Allegro")
    if dtype is not None:
        raise ModelError(f"expected no dtype for '{spec}', which has its own, got {dtype}; drop it")
    compiled = Path(path).suffix in (".pt2", ".pth")
    name, option = (
        ("from_compiled_model", "compile_path") if compiled else ("_from_saved_model", "model_path")
    )
    return _downloaded(
        spec,
        f"nequip.integrations.ase:NequIPCalculator.{name}",
        {option: path, "device": device} | dict(spec.options),
    )


def _file(spec: ModelSpec, what: str) -> str:
    """The path of the file that a name must be of."""
    path = Path(spec.target).expanduser()
    if spec.target and path.is_file():
        return str(path)
    raise ModelError(
        f"expected {what}, got '{spec.kind}:{spec.target}', which does not exist in "
        f"{Path.cwd()}; write {spec.kind}:FILE"
    )


def _downloaded(spec: ModelSpec, factory: str, options: dict[str, Any]) -> AseModel:
    """As below, for a package that may download weights and says a lot."""
    from .loading import loading

    make = find_factory(factory)
    with loading(spec.kind, spec.target):
        calculator = make(**options)
    return AseModel(f"{spec.kind}:{spec.target}".rstrip(":"), lambda: calculator)


def _calculator(spec: ModelSpec, factory: str, options: dict[str, Any]) -> AseModel:
    name = f"{spec.kind}:{spec.target}".rstrip(":")
    return AseModel(name, find_factory(factory), options)
