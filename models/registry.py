"""The kinds of models: what loads each, and what its name may say.

A new family is a file in :mod:`halfkick.models.backends`, a row here and an extra. Another
package brings a kind by an entry point of the group ``halfkick.models``, whose name is the kind's
and which leads to a :class:`Kind`::

    [project.entry-points."halfkick.models"]
    gap = "halfkick_gap:KIND"
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from .base import Role
from .errors import ModelError
from .kind import Kind

if TYPE_CHECKING:
    from .spec import ModelSpec

__all__ = [
    "FILE_KINDS",
    "KINDS",
    "Kind",
    "extra_with",
    "find_kind",
    "kind_names",
    "kind_of",
    "kind_with",
    "table",
]

ENTRY_POINT_GROUP = "halfkick.models"

BOTH = frozenset(Role)
CONSERVATIVE = frozenset({Role.CONSERVATIVE})

BACKENDS = "halfkick.models.backends"

PLAIN = (
    *("variant", "non_conservative_variant", "uncertainty_variant"),
    *("chunk", "skin", "engine"),
)

FILE_KINDS = {
    ".pt": Kind(
        loader=f"{BACKENDS}.metatomic:load",
        form="FILE.pt",
        help="an exported metatomic model",
        example="water",
        roles=BOTH,
        runs_named_code=False,
        options=(*PLAIN, "extensions"),
        init_options=PLAIN,  # extensions are libraries to load
    ),
    ".ckpt": Kind(
        loader=f"{BACKENDS}.kokkos:load",
        form="FILE.ckpt?engine=kokkos",
        help="a metatrain checkpoint of a PET, run by pet-kokkos",
        example="pet.ckpt?engine=kokkos",
        roles=CONSERVATIVE,
        runs_named_code=False,
        init_options=("engine", "tf32"),
        extra="kokkos",
        packages=("pet_kokkos", "safetensors", "metatrain"),
    ),
}
"""By suffix; a file with another one counts as ``.pt``."""

KINDS = {
    "so3lr": Kind(
        loader=f"{BACKENDS}.calculators:load_so3lr",
        form="so3lr",
        help="SO3LR of so3krates-torch, in double precision unless ?dtype=float32",
        example="so3lr",
        roles=CONSERVATIVE,
        runs_named_code=False,
        init_options=("dtype", "r_max_lr", "dispersion_energy_cutoff_lr_damping", "compute_stress"),
        extra="so3lr",
        packages=("so3krates_torch",),
    ),
    "tblite": Kind(
        loader=f"{BACKENDS}.calculators:load_tblite",
        form="tblite:METHOD",
        help="a semi-empirical method of tblite, on the CPU, in double precision",
        example="tblite:GFN2-xTB",
        roles=CONSERVATIVE,
        runs_named_code=False,
        init_options=(
            *("accuracy", "charge", "electronic_temperature", "max_iterations"),
            *("mixer_damping", "multiplicity", "spin_polarization", "verbosity"),
        ),
        extra="xtb",
        packages=("tblite",),
        mixed_periodicity=False,  # 0.8.0 computes all three where it is told of one or two
    ),
    "mace": Kind(
        loader=f"{BACKENDS}.calculators:load_mace",
        form="mace:FILE",
        help="a trained MACE model, in its own precision unless ?dtype=float64",
        example="mace:mace.model",
        roles=CONSERVATIVE,
        runs_named_code=False,
        init_options=("dtype", "head"),
        extra="mace",
        packages=("mace",),
    ),
    "7net": Kind(
        loader=f"{BACKENDS}.sevennet:load",
        form="7net, 7net:NAME_OR_FILE",
        help="SevenNet, by default SevenNet-0, in single precision",
        example="7net:7net-l3i5",
        roles=CONSERVATIVE,
        runs_named_code=False,
        init_options=("dtype", "chunk", "modal", "enable_cueq", "enable_flash", "enable_oeq"),
        extra="sevennet",
        packages=("sevenn",),
    ),
    "chgnet": Kind(
        loader=f"{BACKENDS}.chgnet:load",
        form="chgnet, chgnet:NAME_OR_FILE",
        help="CHGNet, in single precision",
        example="chgnet:r2scan",
        roles=CONSERVATIVE,
        runs_named_code=False,
        options=("chunk", "dtype"),
        init_options=("chunk", "dtype"),
        extra="chgnet",
        packages=("chgnet",),
    ),
    "orb": Kind(
        loader=f"{BACKENDS}.orb:load",
        form="orb:NAME_OR_FILE",
        help="a direct or a conservative model of Orb, in single precision unless ?dtype=float64",
        example="orb:orb-v3-direct-inf-omat",
        roles=BOTH,
        runs_named_code=False,
        options=("architecture", "chunk", "compile", "dtype", "gradient"),
        init_options=("architecture", "chunk", "compile", "dtype", "gradient"),
        extra="orb",
        packages=("orb_models",),
        mixed_periodicity=False,
    ),
    "fairchem": Kind(
        loader=f"{BACKENDS}.fairchem:load",
        form="fairchem:NAME_OR_FILE",
        help="a model of fairchem (eSEN, UMA), in single precision unless ?dtype=float64",
        example="fairchem:uma-s-1p1?task=omat",
        roles=BOTH,
        runs_named_code=False,
        init_options=(
            *("activation_checkpointing", "chunk", "compile", "dtype", "execution_mode"),
            *("merge_mole", "task", "tf32"),
        ),
        extra="fairchem",
        packages=("fairchem",),
    ),
    "mattersim": Kind(
        loader=f"{BACKENDS}.calculators:load_mattersim",
        form="mattersim, mattersim:NAME_OR_FILE",
        help="MatterSim, by default its small model, in single precision",
        example="mattersim:mattersim-v1.0.0-5m",
        roles=CONSERVATIVE,
        runs_named_code=False,
        init_options=("dtype",),
        extra="mattersim",
        packages=("mattersim",),
    ),
    "nequip": Kind(
        loader=f"{BACKENDS}.calculators:load_nequip",
        form="nequip:FILE",
        help="a trained model of NequIP or Allegro, compiled or packaged, in its own precision",
        example="nequip:model.nequip.pt2",
        roles=CONSERVATIVE,
        runs_named_code=False,
        init_options=(),
        extra="nequip",
        packages=("nequip",),
    ),
    "torchsim": Kind(
        loader=f"{BACKENDS}.torchsim:load",
        form="torchsim:MODULE:FACTORY",
        help="any model of TorchSim, in batches",
        example="torchsim:sevenn.torchsim:SevenNetModel?model=7net-0",
        roles=BOTH,
        runs_named_code=True,
        extra="torchsim",
        packages=("torch_sim",),
    ),
    "ase": Kind(
        loader=f"{BACKENDS}.ase:load",
        form="ase:MODULE:FACTORY",
        help="any ASE calculator",
        example="ase:ase.calculators.emt:EMT",
        roles=CONSERVATIVE,
        runs_named_code=True,
    ),
    "python": Kind(
        loader=f"{BACKENDS}.python:load",
        form="python:MODULE:FACTORY",
        help="a function that returns a ForceModel",
        example="python:my_module:make_model?key=value",
        roles=BOTH,
        runs_named_code=True,
    ),
}
"""By the word that stands before the colon, or alone."""


def find_kind(name: str) -> Kind | None:
    """The kind of that name, here or of another package; ``None`` if there is none.

    Raises:
        ModelError: if another package says it has the kind, and cannot be used.
    """
    if name in KINDS:
        return KINDS[name]
    if not name.replace("-", "_").isidentifier():  # a path: other packages are not asked
        return None
    entry = _entry_points().get(name)
    return None if entry is None else _load_entry_point(entry)


def kind_of(spec: ModelSpec) -> Kind:
    """The kind of a name that was parsed."""
    kind = find_kind(spec.kind) if spec.kind else None
    return kind or FILE_KINDS.get(Path(spec.target).suffix, FILE_KINDS[".pt"])


def kind_names() -> list[str]:
    """All kinds, those of other packages too."""
    return [*KINDS, *sorted(_entry_points().keys() - KINDS.keys())]


def kind_with(package: str) -> Kind | None:
    """The kind that needs a top module; ``None`` if none here does."""
    kinds = (*KINDS.values(), *FILE_KINDS.values())
    return next((kind for kind in kinds if package in kind.packages), None)


def extra_with(package: str) -> str | None:
    """The extra that installs a top module; ``None`` if none does."""
    kind = kind_with(package)
    return None if kind is None else kind.extra


def table() -> str:
    """The kinds that are built in, as a table in reStructuredText."""
    rows = [(f"``{kind.form}``", kind.help) for kind in (*FILE_KINDS.values(), *KINDS.values())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    return "\n".join([rule, *(f"{form:{widths[0]}}  {text}" for form, text in rows), rule])


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def _load_entry_point(entry: EntryPoint) -> Kind:
    try:
        kind = entry.load()
    except Exception as error:  # whatever the import of another package does
        raise ModelError(
            f"expected entry point '{entry.name} = {entry.value}' to be importable, got "
            f"{type(error).__name__}: {error}; mend or uninstall that package"
        ) from error
    if not isinstance(kind, Kind):
        raise ModelError(
            f"expected entry point '{entry.name} = {entry.value}' to be a "
            f"halfkick.models.registry.Kind, got {type(kind).__name__}; mend that package"
        )
    return kind
