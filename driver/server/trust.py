"""Names that i-PI may use where the driver has no input of its own to compare with.

Whoever answers at the driver's address sends INIT, with a model and a template. Neither may give
them more than the driver's owner gives anyway:

- What the driver's own input names is taken as it is.
- Models that ship, files in the working directory, and potentials with a fixed short name may come
  by INIT. A model file may contain code: who can write into the folder is trusted already.
- Files elsewhere need ``--allow-outside``.
- Names that say which code is called (``python:``, ``ase:`` and what other packages mark so), and
  options that could open a file or load a library, need ``--allow-code``. It is an option of its
  own, since a shared folder of models is no reason to let others call any function.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...models.spec import ModelSpec
from ..errors import InputError

__all__ = ["Trust"]


@dataclass(frozen=True)
class Trust:
    """What may be named by INIT.

    Attributes:
        models: names of models in the driver's own input.
        templates: templates in the driver's own input.
        allow_outside: whether files outside the working directory may be named.
        allow_code: whether code may be named.
    """

    models: Collection[str] = ()
    templates: Collection[str] = ()
    allow_outside: bool = False
    allow_code: bool = False

    def check(self, parameters: Mapping[str, str]) -> None:
        """Check the parameters of an INIT.

        Raises:
            InputError: if they name what only the driver's owner may name.
        """
        template, model = parameters.get("template", ""), parameters.get("model", "")
        if template not in self.templates:
            self._check_inside(template)
        if model in self.models:
            return
        spec = ModelSpec.parse(model)
        if spec.named_code is not None and not self.allow_code:
            raise InputError(
                f"expected from i-PI a model that names no code, got '{spec.named_code}' in "
                f"'{model}'; give the driver the input, or start it with --allow-code if you "
                f"trust that i-PI"
            )
        if not spec.runs_named_code:
            self._check_inside(spec.target)

    def _check_inside(self, file: str) -> None:
        path = Path(file).expanduser().resolve()
        if not (self.allow_outside or path.is_relative_to(Path.cwd())):
            raise InputError(
                f"expected from i-PI files in '{Path.cwd()}', got '{file}'; "
                f"start the driver there, or with --allow-outside if you trust that i-PI"
            )
