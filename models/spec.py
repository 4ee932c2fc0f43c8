"""A model's name as it stands in ``<parameters> {model: …}``, on the command line and on cards.

::

    spec    = [kind ":"] target ["?" key "=" value *("&" key "=" value)]
    kind    = a name in the registry (``ase``, ``python``, ``tblite``, …)
    target  = what the kind understands; without a kind the name of a model that ships, or a file

Values are read as Python literals where possible, else as text.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .errors import ModelError

__all__ = ["ModelSpec"]


@dataclass(frozen=True)
class ModelSpec:
    """A model's name, taken apart once.

    Attributes:
        kind: which entry of the registry loads it; empty for a file or a model that ships.
        target: what that entry understands.
        options: the model's own.
    """

    kind: str
    target: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """Read a model's name.

        Raises:
            ModelError: if an option is not ``key=value``.
        """
        from .registry import is_kind

        target, _, query = text.strip().partition("?")
        kind, _, rest = target.partition(":")
        if not is_kind(kind):
            kind, rest = "", target
        return cls(kind, rest, _options(query))

    @property
    def runs_named_code(self) -> bool:
        """Whether it names code that would be called: never to be taken from INIT."""
        from .registry import kind_of

        return bool(self.kind) and kind_of(self.kind).runs_named_code

    def file(self, folder: Path) -> Path | None:
        """The file it names, seen from ``folder``; ``None`` where it names none that exists."""
        path = folder / Path(self.target).expanduser()
        return path if self.target and path.is_file() else None

    def in_folder(self, folder: Path) -> ModelSpec:
        """The same model, a file it names made absolute: it can be named from anywhere."""
        path = self.file(folder)
        return self if path is None else replace(self, target=str(path.resolve()))

    def with_options(self, **more: Any) -> ModelSpec:
        """The same model with further options."""
        return replace(self, options={**self.options, **more})

    def __str__(self) -> str:
        head = (
            f"{self.kind}:{self.target}" if self.kind and self.target else self.kind or self.target
        )
        query = "&".join(f"{key}={value}" for key, value in self.options.items())
        return f"{head}?{query}" if query else head


def _options(query: str) -> dict[str, Any]:
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
