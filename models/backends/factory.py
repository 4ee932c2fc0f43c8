"""Functions and classes that a model's name says: ``module:factory``."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..registry import extra_with

__all__ = ["find_factory", "find_object", "require_float32", "with_device_and_dtype"]


def find_factory(target: str) -> Callable[..., Any]:
    """Import ``module:name``; the working directory counts as a place for modules.

    Raises:
        ModelError: if there is no such module or nothing to call in it.
    """
    factory = find_object(target)
    if not callable(factory):
        module_name, _, name = target.partition(":")
        raise ModelError(
            f"expected a function or class '{name}' in module '{module_name}', got "
            f"{'nothing' if factory is None else type(factory).__name__}; check <parameters> model"
        )
    return factory


def find_object(target: str) -> Any:
    """Import ``module:name``; ``None`` if the module has nothing of that name.

    Raises:
        ModelError: if there is no such module.
    """
    module_name, _, name = target.partition(":")
    if not (module_name and name):
        raise ModelError(f"expected 'module:factory', got '{target}'; check <parameters> model")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    if find_spec("torch_geometric") is not None:
        # 2.7.0 replaces torch.index_select by what TorchScript cannot compile: metatomic, which a
        # second model may need, has to be imported before it
        importlib.import_module("metatomic.torch")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ModelError(
            f"expected module '{module_name}' to be importable, got {error}; {_remedy(module_name)}"
        ) from error
    except Exception as error:
        raise ModelError(
            f"expected module '{module_name}' to be importable, got {type(error).__name__}: "
            f"{error}; mend the module"
        ) from error
    try:
        return attrgetter(name)(module)  # of a class, too: Class.from_file
    except AttributeError:
        return None


def _remedy(module_name: str) -> str:
    extra = extra_with(module_name.partition(".")[0])
    if extra is None:
        return "install it, or put it into the working directory"
    return f'install it with: pip install "halfkick[{extra}]"'


def with_device_and_dtype(
    factory: Callable[..., Any],
    options: Mapping[str, Any],
    device: str,
    dtype: str | None,
    always: Collection[str] = (),
) -> dict[str, Any]:
    """Return the options with device and dtype, where those are not the default.

    Those in ``always`` are given in any case to a factory that takes them: its own default may be
    another one.

    Raises:
        ModelError: if one is neither the default, nor an option, nor taken by the factory.
    """
    try:
        taken = {*inspect.signature(factory).parameters}
    except (TypeError, ValueError):  # built-in callables have no signature
        taken = set()
    result = dict(options)
    for name, value, default in (("device", device, "cpu"), ("dtype", dtype, None)):
        if name in options or (value == default and not (name in always and name in taken)):
            continue
        if name not in taken:
            raise ModelError(
                f"expected a factory that takes '{name}', got {factory.__name__}, which does not; "
                f"leave --{name} out and use the model's own options"
            )
        result[name] = value
    return result


def require_float32(family: str, dtype: str | None) -> None:
    """Raise ModelError if a family that knows single precision alone is asked for another."""
    if dtype not in (None, "float32"):
        raise ModelError(
            f"expected dtype float32 for {family}, which computes in no other, got {dtype}; leave "
            f"it out"
        )
