"""Which model gives which force of a run: multiple time stepping wherever that can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from ...models.base import ForceModel, Role
from ...models.charge import check_inputs
from ...models.errors import ModelError
from ...models.frames import inputs_of
from ...models.load import find_file, load_model
from ...models.pair import AsDirect, Pair
from ...models.spec import ModelSpec, shipped_file
from ..errors import InputError

__all__ = ["Forces", "Load", "choose_forces", "loader", "named_from"]

Load = Callable[[ModelSpec], ForceModel]


@dataclass(frozen=True, eq=False)
class Forces:
    """The models of a run.

    Attributes:
        model: both forces as one, or the conservative one alone.
        outer: of the conservative forces.
        inner: of the forces inside; ``None`` without multiple time stepping.
        inner_role: of these: a student may be conservative, too.
        told: which forces were chosen and why.
        hint: how to come to multiple time stepping, where there is none.
    """

    model: ForceModel
    outer: ModelSpec
    inner: ModelSpec | None
    inner_role: Role
    told: str
    hint: str = ""

    @property
    def is_mts(self) -> bool:
        """Whether there are two of them."""
        return self.inner is not None

    def alone(self, why: str, hint: str = "") -> Forces:
        """The conservative force without the other."""
        told = f"{self.outer}, conservative alone: {why}"
        return Forces(self.model, self.outer, None, self.inner_role, told, hint)


def choose_forces(
    outer: ModelSpec,
    inner: ModelSpec | None,
    atoms: Atoms,
    needs_virial: bool,
    load: Load,
) -> Forces:
    """Load the models and see what they offer for a structure.

    Args:
        outer: must have conservative forces.
        inner: has the forces inside; without one the first model's direct ones are taken.
        atoms: the structure.
        needs_virial: whether the ensemble uses the virial.
        load: loads a model.

    Raises:
        ModelError: if a model cannot be loaded, or lacks a species or a force.
        DataError: if one would compute another charge or spin.
        InputError: if the conservative model has no stress where one is needed.
    """
    slow = load(outer)
    if Role.CONSERVATIVE not in slow.capabilities.roles:
        raise ModelError(
            f"expected a model with conservative forces, got '{outer}', which has direct ones "
            f"alone; name it by --inner, and by --model the one that corrects it"
        )
    check_structure(slow, atoms, Role.CONSERVATIVE)
    if needs_virial and Role.CONSERVATIVE not in slow.capabilities.stress:
        raise InputError(
            f"expected a model with conservative stress, since the ensemble uses the virial, but "
            f"'{outer}' has none; use a constant-volume ensemble or another model"
        )
    if inner is None and Role.DIRECT not in slow.capabilities.roles:
        forces = Forces(slow, outer, None, Role.DIRECT, "")
        hint = f"to be faster: halfkick distill {outer} STRUCTURE, then --inner student.pt"
        return forces.alone("it has no direct forces", hint)
    fast = slow if inner is None or inner == outer else load(inner)
    role = Role.DIRECT if Role.DIRECT in fast.capabilities.roles else Role.CONSERVATIVE
    check_structure(fast, atoms, role)
    both = slow if fast is slow else Pair({Role.CONSERVATIVE: slow, Role.DIRECT: as_direct(fast)})
    told = f"{inner or outer}, {role}, inside; {outer}, conservative, corrects it at outer steps"
    forces = Forces(both, outer, inner or outer, role, told)
    if needs_virial and role not in fast.capabilities.stress:
        return forces.alone(f"'{inner or outer}' has no {role} stress, which the barostat needs")
    return forces


def check_structure(model: ForceModel, atoms: Atoms, role: Role) -> None:
    """Raise ModelError or DataError unless the model computes the structure as it is."""
    model.check(atoms.numbers, role)
    inputs = inputs_of(atoms)
    check_inputs(atoms.get_chemical_formula(), inputs, model.name, model.capabilities)


def as_direct(model: ForceModel) -> ForceModel:
    """A model whose forces are to be taken for the fast ones."""
    return model if Role.DIRECT in model.capabilities.roles else AsDirect(model)


def loader(device: str, dtype: str | None) -> Load:
    """What loads a model on a device."""
    return lambda spec: load_model(spec, device=device, dtype=dtype)


def named_from(spec: ModelSpec, folder: Path) -> ModelSpec:
    """The same model, as a file in ``folder`` names it.

    Raises:
        ModelError: if there is no such file.
        InputError: if i-PI could not pass its name on.
    """
    if not spec.kind and shipped_file(spec.target) is None:
        find_file(spec.target)
    named = spec.in_folder(Path.cwd())
    path = Path(named.target)
    if path.is_absolute() and path.is_relative_to(folder.resolve()):
        named = ModelSpec(spec.kind, str(path.relative_to(folder.resolve())), spec.options)
    text = str(named)
    if not text.isascii() or "," in text:
        raise InputError(
            f"expected a model's name in ASCII and without commas, as i-PI reads it, got '{text}'; "
            f"rename or link the file"
        )
    return named
