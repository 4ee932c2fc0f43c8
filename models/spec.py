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

from .base import Role
from .errors import ModelError
from .registry import KINDS, find_kind, kind_of

__all__ = ["ModelSpec", "shipped_file"]


ROLE = "role"
"""The option that every kind takes."""


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
            ModelError: if an option is not ``key=value``, or the kind is of another package that
                cannot be used.
        """
        head, _, query = text.strip().partition("?")
        options = _options(query)
        kind, colon, target = head.partition(":")
        is_file = not colon and (shipped_file(head) or Path(head).expanduser().is_file())
        # other packages are asked last: that takes a while, and they cannot change what is here
        known = kind in KINDS or (not is_file and find_kind(kind) is not None)
        return cls(kind, target, options) if known else cls("", head, options)

    @property
    def runs_named_code(self) -> bool:
        """Whether its kind calls the code that the target names."""
        return kind_of(self).runs_named_code

    @property
    def named_code(self) -> str | None:
        """What in it could call code or open files besides the target; ``None`` if nothing does.

        A name with ``None`` may come over a socket from somebody else: only its target, if that is
        a file, is still to be looked at.
        """
        if self.runs_named_code:
            return f"{self.kind}:{self.target}"
        plain = (ROLE, *kind_of(self).init_options)
        return next((name for name in self.options if name not in plain), None)

    def file(self, folder: Path) -> Path | None:
        """The file it names, seen from ``folder``; ``None`` where it names none that exists."""
        path = folder / Path(self.target).expanduser()
        return path if self.target and path.is_file() else None

    def in_folder(self, folder: Path) -> ModelSpec:
        """The same model, a file it names made absolute: it can be named from anywhere."""
        path = self.file(folder)
        return self if path is None else replace(self, target=str(path.resolve()))

    def without_role(self) -> tuple[ModelSpec, Role | None]:
        """The same model without the option ``role``, and that.

        Raises:
            ModelError: if it is none.
        """
        options = dict(self.options)
        text = options.pop(ROLE, None)
        if text not in (None, *map(str, Role)):
            raise ModelError(
                f"expected role={' or role='.join(Role)} in the model's name, got role={text}"
            )
        return replace(self, options=options), None if text is None else Role(text)

    def with_options(self, **more: Any) -> ModelSpec:
        """The same model with further options."""
        return replace(self, options={**self.options, **more})

    def __str__(self) -> str:
        head = (
            f"{self.kind}:{self.target}" if self.kind and self.target else self.kind or self.target
        )
        query = "&".join(f"{key}={_text(value)}" for key, value in self.options.items())
        return f"{head}?{query}" if query else head


def _options(query: str) -> dict[str, Any]:
    """Read ``key=value&key2=value``."""
    options: dict[str, Any] = {}
    for item in filter(None, query.split("&")):
        key, equals, text = item.partition("=")
        if not (key.isidentifier() and equals):
            raise ModelError(f"expected options as key=value, got '{item}'; check the model's name")
        options[key] = _value(text)
    return options


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _text(value: Any) -> str:
    """What ``_value`` reads as this value."""
    return str(value) if _value(str(value)) == value else repr(value)


def shipped_file(name: str, suffix: str = ".pt") -> Path | None:
    """The file of a model that ships, ``halfkick.models.NAME/NAME.pt``; ``None`` if none does."""
    if Path(name).name != name or Path(name).suffix:
        return None
    path = Path(__file__).parent / name / f"{name}{suffix}"
    return path if path.is_file() else None
