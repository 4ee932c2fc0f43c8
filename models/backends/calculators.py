"""ASE calculators with a short name in ``<parameters> {model: …}``; further options are their own.

====================  =====================================================================
``so3lr``             SO3LR of ``so3krates-torch``; double precision unless ``?dtype=float32``
``tblite:GFN2-xTB``   a method of ``tblite``; on the CPU, in double precision
``mace:FILE``         a trained MACE model; ``?dtype=float64``
====================  =====================================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ModelError

__all__ = ["SHORTCUTS"]

Named = tuple[str, dict[str, Any]]
"""``module:factory`` of an ASE calculator and its keyword arguments."""


def so3lr(argument: str, device: str, dtype: str | None) -> Named:
    """SO3LR with electrostatics and dispersion to 12 Å, the latter damped over the last 2 Å."""
    if argument:
        raise ModelError(f"expected 'so3lr' alone, got 'so3lr:{argument}'; options follow a '?'")
    return "so3krates_torch.calculator.so3:SO3LRCalculator", {
        "default_dtype": dtype or "float64",
        "device": device,
        "compute_stress": True,
        "r_max_lr": 12.0,
        "dispersion_energy_cutoff_lr_damping": 2.0,
    }


def tblite(argument: str, device: str, dtype: str | None) -> Named:
    """A semi-empirical method, which knows neither device nor dtype."""
    if not argument:
        raise ModelError("expected a method such as 'tblite:GFN2-xTB', got 'tblite'; name one")
    return "tblite.ase:TBLite", {"method": argument, "verbosity": 0}


def mace(argument: str, device: str, dtype: str | None) -> Named:
    """A model file of MACE, in its own precision unless told."""
    path = Path(argument).expanduser()
    if not (argument and path.is_file()):
        raise ModelError(
            f"expected a MACE model file, got 'mace:{argument}', which does not exist in "
            f"{Path.cwd()}; write mace:FILE"
        )
    return "mace.calculators:MACECalculator", {
        "model_paths": str(path),
        "device": device,
        "default_dtype": dtype or "",
    }


SHORTCUTS = {"so3lr": so3lr, "tblite": tblite, "mace": mace}
