"""Serves the direct and the conservative forces of one machine-learned potential to i-PI.

The public face of the package. Everything is imported when it is first used, so that
``import halfkick`` costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without the import of typing
if TYPE_CHECKING:
    from typing import Any

    from .models.base import ForceModel, ForceResult, Role, Structure
    from .models.load import load_model

    __version__: str

__all__ = ["ForceModel", "ForceResult", "Role", "Structure", "__version__", "load_model"]

_HOMES = {
    "ForceModel": ".models.base",
    "ForceResult": ".models.base",
    "Role": ".models.base",
    "Structure": ".models.base",
    "load_model": ".models.load",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("halfkick")
    if name not in _HOMES:
        raise AttributeError(f"module 'halfkick' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
