"""What the registry knows of a kind of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from .base import ForceModel, Role
from .errors import ModelError

if TYPE_CHECKING:
    from .spec import ModelSpec

__all__ = ["Kind", "Loader"]

Loader = Callable[["ModelSpec", str, "str | None"], ForceModel]
"""Called with the model's name, device (``cpu``, ``cuda`` or ``cuda:N``) and dtype (``float32``,
``float64`` or ``None`` for the model's own). A file that the name is of exists."""


@dataclass(frozen=True)
class Kind:
    """One way to make a model from its name.

    Attributes:
        loader: ``package.module:function`` of a :data:`Loader`; it is imported when a model of
            this kind is loaded, so that heavy packages wait until then.
        form: how its names look.
        help: what the models are, in one line.
        example: a whole name.
        roles: the forces its models can offer.
        runs_named_code: whether the name says which code is called. Such a model is taken from the
            driver's own input only, not from what comes over a socket.
        options: those it takes; ``None`` if the loader checks them itself.
        init_options: those that may come over a socket: numbers, switches and names, which can
            neither open a file nor call code.
        extra: of this package, which installs what the kind needs.
        packages: top modules that the extra installs.
        mixed_periodicity: whether its models know structures periodic in one or two directions.
    """

    loader: str
    form: str
    help: str
    example: str
    roles: frozenset[Role]
    runs_named_code: bool
    options: tuple[str, ...] | None = None
    init_options: tuple[str, ...] = ()
    extra: str = ""
    packages: tuple[str, ...] = ()
    mixed_periodicity: bool = True

    def load(self, spec: ModelSpec, device: str, dtype: str | None) -> ForceModel:
        """Load the model.

        Raises:
            ModelError: if the loader cannot be imported, does not return a model, or refuses.
        """
        module, _, function = self.loader.partition(":")
        try:
            loader: Loader = getattr(import_module(module), function)
        except (ImportError, AttributeError, ValueError) as error:
            raise ModelError(
                f"expected '{self.loader}' to load models of the form {self.form}, got "
                f"{type(error).__name__}: {error}; mend or reinstall the package"
            ) from error
        model = loader(spec, device, dtype)
        if not isinstance(model, ForceModel):
            raise ModelError(
                f"expected '{self.loader}' to return a halfkick.models.base.ForceModel, got "
                f"{type(model).__name__}; mend the package"
            )
        return model
