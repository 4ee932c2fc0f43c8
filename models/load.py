"""From the text in ``<parameters> {model: …}`` to a loaded model.

====================================  ==========================================================
``water``                             a model that ships: ``halfkick.models.NAME/NAME.pt``
``path/to/file.pt``                   an exported metatomic model
``path/to/file.ckpt?engine=kokkos``   a PET, conservative forces only, run by pet-kokkos
``so3lr``, ``tblite:…``, ``mace:…``   see :mod:`halfkick.models.backends.calculators`
``ase:module:factory?key=value``      any ASE calculator; conservative forces only
``python:module:factory?key=value``   a factory that returns a ``ForceModel``
====================================  ==========================================================

Options follow a ``?`` and are joined by ``&``. Values are read as Python literals where possible,
else as text.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from .backends.calculators import SHORTCUTS
from .backends.multi_device import Spread
from .base import ForceModel
from .card import read_expected_gap
from .errors import ModelError

__all__ = ["find_checkpoint", "load_model"]

EXTRAS = {"so3krates_torch": "so3lr", "tblite": "xtb", "mace": "mace", "metatrain": "train"}
"""Modules that an extra of this package installs."""

DTYPES = ("float32", "float64")

METATOMIC_OPTIONS = ("variant", "extensions", "chunk", "skin", "engine")


def load_model(spec: str, *, device: str = "cpu", dtype: str | None = None) -> ForceModel:
    """Load the model that ``spec`` names.

    Args:
        spec: as listed in this module's docstring.
        device: ``cpu``, ``cuda`` or ``cuda:N``; several, joined by commas, share the structures.
        dtype: ``float32`` or ``float64``; ``None`` for the model's own.

    Raises:
        ModelError: if there is no such model, or it cannot be used as asked.
    """
    if "," in device:
        return Spread([load_model(spec, device=one, dtype=dtype) for one in device.split(",")])
    check_device(device)
    if dtype not in (None, *DTYPES):
        raise ModelError(f"expected dtype {' or '.join(DTYPES)}, got '{dtype}'; change --dtype")
    target, _, query = spec.strip().partition("?")
    options = parse_options(query)
    kind, colon, rest = target.partition(":")
    if colon and kind in ("ase", "python"):
        return load_python(kind, rest, options, device, dtype)
    if kind in SHORTCUTS:
        return load_calculator(kind, rest, options, device, dtype)

    if target.endswith(".ckpt"):
        return load_checkpoint(find_file(target), options)

    unknown = options.keys() - METATOMIC_OPTIONS
    if unknown:
        raise ModelError(
            f"expected options {', '.join(METATOMIC_OPTIONS)} for a metatomic model, got "
            f"{', '.join(unknown)}; check <parameters> model"
        )
    path = find_file(target)

    from .backends.metatomic import MetatomicModel  # with torch: only for a model that exists

    model = MetatomicModel(path, device=device, dtype=dtype, **options)
    model.expected_gap = read_expected_gap(path)
    return model


def load_checkpoint(path: Path, options: dict[str, Any]) -> ForceModel:
    """Load a metatrain checkpoint into an engine that runs it without PyTorch."""
    engine, tf32 = options.pop("engine", None), options.pop("tf32", False)
    if engine != "kokkos" or options:
        raise ModelError(
            f"expected '{path.name}?engine=kokkos' or '{path.name}?engine=kokkos&tf32=True' for a "
            f"checkpoint, got {options or engine}; to run it with PyTorch name the exported .pt"
        )
    from .backends.kokkos import KokkosModel

    return KokkosModel(path, tf32=tf32)


def load_python(
    kind: str, target: str, options: dict[str, Any], device: str, dtype: str | None
) -> ForceModel:
    """Call the factory ``module:name`` and see to it that a ``ForceModel`` results."""
    factory = find_factory(target)
    options = device_and_dtype(factory, options, device, dtype) | options
    if kind == "ase":
        from .backends.ase import AseModel

        return AseModel(target, factory, options)
    try:
        model = factory(**options)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"expected '{target}' to return a model, got {type(error).__name__}: {error}; "
            f"check its options"
        ) from error
    if not isinstance(model, ForceModel):
        raise ModelError(
            f"expected '{target}' to return a halfkick.models.base.ForceModel, got "
            f"{type(model).__name__}; for an ASE calculator write 'ase:{target}'"
        )
    return model


def load_calculator(
    kind: str, argument: str, options: dict[str, Any], device: str, dtype: str | None
) -> ForceModel:
    """Make the ASE calculator that has a short name."""
    target, given = SHORTCUTS[kind](argument, device, options.pop("dtype", dtype))
    factory = find_factory(target)

    from .backends.ase import AseModel

    return AseModel(f"{kind}:{argument}".rstrip(":"), factory, given | options)


def find_file(target: str) -> Path:
    """Return the file of a shipped model or of a path."""
    root = Path(str(resources.files("halfkick.models")))
    path = Path(target).expanduser()
    if path.name == target and not path.suffix and not path.is_file():
        shipped = root / target / f"{target}.pt"
        if not shipped.is_file():
            names = sorted(p.stem for p in root.glob("*/*.pt") if p.stem == p.parent.name)
            raise ModelError(
                f"expected a model that ships ({', '.join(names) or 'none do'}), a .pt file, "
                f"{', '.join(SHORTCUTS)}, 'ase:…' or 'python:…', got '{target}'; "
                f"check <parameters> model"
            )
        return shipped
    if not path.is_file():
        raise ModelError(
            f"expected a model file, got '{target}', which does not exist in {Path.cwd()}; "
            f"check <parameters> model"
        )
    return path


def find_checkpoint(target: str) -> Path:
    """Return the checkpoint of a model that ships with one (``water``), else the path as it is."""
    shipped = Path(str(resources.files("halfkick.models"))) / target / f"{target}.ckpt"
    is_name = Path(target).name == target and not Path(target).suffix
    return shipped if is_name and shipped.is_file() else Path(target)


def find_factory(target: str) -> Callable[..., Any]:
    """Import ``module:name``; the working directory counts as a place for modules."""
    module_name, _, name = target.partition(":")
    if not (module_name and name):
        raise ModelError(f"expected 'module:factory', got '{target}'; check <parameters> model")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        package = module_name.partition(".")[0]
        remedy = (
            f'install it with: pip install "halfkick[{EXTRAS[package]}]"'
            if package in EXTRAS
            else "install it, or put it into the working directory"
        )
        raise ModelError(
            f"expected module '{module_name}' to be importable, got {error}; {remedy}"
        ) from error
    except Exception as error:
        raise ModelError(
            f"expected module '{module_name}' to be importable, got {type(error).__name__}: "
            f"{error}; mend the module"
        ) from error
    factory = getattr(module, name, None)
    if not callable(factory):
        raise ModelError(
            f"expected a function or class '{name}' in module '{module_name}', got "
            f"{'nothing' if factory is None else type(factory).__name__}; check <parameters> model"
        )
    return factory


def device_and_dtype(
    factory: Callable[..., Any], options: dict[str, Any], device: str, dtype: str | None
) -> dict[str, Any]:
    """Return device and dtype as options; ModelError if they are not the default and not taken."""
    try:
        taken = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # built-in callables have no signature
        taken = {}
    asked = {"device": (device, "cpu"), "dtype": (dtype, None)}
    result = {}
    for name, (value, default) in asked.items():
        if value == default or name in options:
            continue
        if name not in taken:
            raise ModelError(
                f"expected a factory that takes '{name}', got {factory.__name__}, which does not; "
                f"leave --{name} out and use the model's own options"
            )
        result[name] = value
    return result


def parse_options(query: str) -> dict[str, Any]:
    """Read ``key=value&key2=value``."""
    options: dict[str, Any] = {}
    for item in filter(None, query.split("&")):
        key, equals, text = item.partition("=")
        if not (key.isidentifier() and equals):
            raise ModelError(f"expected options as key=value, got '{item}'; check the model's name")
        try:
            options[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            options[key] = text
    return options


def check_device(device: str) -> None:
    """Raise ModelError unless this machine has ``device``."""
    name, colon, index = device.partition(":")
    if name not in ("cpu", "cuda") or (colon and not (name == "cuda" and index.isdecimal())):
        raise ModelError(f"expected device cpu, cuda or cuda:N, got '{device}'; change --device")
    if name == "cuda":
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(index or 0) >= count:
            raise ModelError(
                f"expected a GPU for device '{device}', got {count} of them in torch "
                f"{torch.__version__}; use --device cpu or a torch built for the GPU"
            )
