"""Models that a function of the user makes."""

from __future__ import annotations

from ..base import ForceModel
from ..errors import HalfkickError, ModelError
from ..spec import ModelSpec
from .factory import find_factory, with_device_and_dtype

__all__ = ["load"]


def load(spec: ModelSpec, device: str, dtype: str | None) -> ForceModel:
    """Call the factory ``module:name`` and see to it that a ``ForceModel`` results.

    Raises:
        ModelError: if there is no such function, it fails, or it returns something else.
    """
    factory = find_factory(spec.target)
    options = with_device_and_dtype(factory, spec.options, device, dtype)
    try:
        model = factory(**options)
    except HalfkickError:
        raise
    except Exception as error:
        raise ModelError(
            f"expected '{spec.target}' to return a model, got {type(error).__name__}: {error}; "
            f"check its options"
        ) from error
    if not isinstance(model, ForceModel):
        raise ModelError(
            f"expected '{spec.target}' to return a halfkick.models.base.ForceModel, got "
            f"{type(model).__name__}; for an ASE calculator write 'ase:{spec.target}'"
        )
    return model
