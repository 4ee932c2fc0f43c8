"""From the text in ``<parameters> {model: …}`` to a loaded model.

A name is a file, one that ships (``water`` is ``halfkick.models.water/water.pt``), or begins with a
kind and a colon. Options follow a ``?`` and are joined by ``&`` (:mod:`halfkick.models.spec`). The
kinds are those of :mod:`halfkick.models.registry` and of other packages:
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .backends.multi_device import MultiDeviceModel
from .base import ForceModel, Role
from .errors import ModelError
from .pair import AsDirect
from .registry import KINDS, kind_names, kind_of, table
from .spec import ModelSpec, shipped_file

__all__ = ["check_device", "find_checkpoint", "find_file", "load_model"]

__doc__ = f"{__doc__}\n{table()}\n"

DTYPES = ("float32", "float64")


def load_model(
    name: str | ModelSpec, *, device: str = "cpu", dtype: str | None = None
) -> ForceModel:
    """Load the model of that name.

    Its forces count as what the model says of itself. With the option ``role=direct`` those of a
    model that says nothing count as direct.

    Args:
        name: as listed in this module's docstring.
        device: ``cpu``, ``cuda`` or ``cuda:N``; several, joined by commas, share the structures.
        dtype: ``float32`` or ``float64``; ``None`` for the model's own.

    Raises:
        ModelError: if there is no such model, or it cannot be used as asked.
    """
    if "," in device:
        devices = device.split(",")
        return MultiDeviceModel([load_model(name, device=one, dtype=dtype) for one in devices])
    check_device(device)
    if dtype not in (None, *DTYPES):
        raise ModelError(f"expected dtype {' or '.join(DTYPES)}, got '{dtype}'; change --dtype")
    spec = ModelSpec.parse(name) if isinstance(name, str) else name
    spec, role = spec.without_role()
    kind = kind_of(spec)
    if kind.options is not None and (unknown := spec.options.keys() - kind.options):
        raise ModelError(
            f"expected options {', '.join(kind.options)} for {kind.help}, got "
            f"{', '.join(sorted(unknown))}; check <parameters> model"
        )
    if not spec.kind:  # before the loader brings torch: only for a file that exists
        spec = replace(spec, target=str(find_file(spec.target)))
    model = kind.load(spec, device, dtype)
    return model if role is None else _in_role(model, role)


def _in_role(model: ForceModel, role: Role) -> ForceModel:
    """The model with its forces taken for those of a role.

    Raises:
        ModelError: if it knows that they are not.
    """
    if role in model.capabilities.roles:
        return model
    if role is Role.DIRECT:
        return AsDirect(model)
    raise ModelError(
        f"expected conservative forces from '{model.name}' with role=conservative, got a model "
        f"whose forces are direct; write role=direct, or name a conservative one"
    )


def find_file(target: str) -> Path:
    """Return the file of a shipped model or of a path.

    Raises:
        ModelError: if there is none.
    """
    path = Path(target).expanduser()
    if path.is_file():
        return path
    shipped = shipped_file(target)
    if shipped is not None:
        return shipped
    if path.name == target and not path.suffix:
        raise ModelError(
            f"expected a model that ships ({_shipped()}), a .pt file, {_kinds()}, got '{target}'; "
            f"check <parameters> model"
        )
    raise ModelError(
        f"expected a model file, got '{target}', which does not exist in {Path.cwd()}; "
        f"check <parameters> model"
    )


def find_checkpoint(target: str) -> Path:
    """Return the checkpoint of a model that ships with one (``water``), else the path as it is."""
    return shipped_file(target, ".ckpt") or Path(target)


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


def _shipped() -> str:
    names = sorted(p.stem for p in Path(__file__).parent.glob("*/*.pt") if shipped_file(p.stem))
    return ", ".join(names) or "none do"


def _kinds() -> str:
    """All kinds in a list; with a colon those that are nothing without what follows it."""
    named_code = {name for name, kind in KINDS.items() if kind.runs_named_code}
    *names, last = (f"'{n}:…'" if n in named_code else n for n in kind_names())
    return f"{', '.join(names)} or {last}"
