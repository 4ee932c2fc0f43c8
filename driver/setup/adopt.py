"""An input for halfkick from an i-PI input that is there: one force field, or i-PI's own recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from ...models.base import Role
from ...models.check.steps import advise_steps
from ...models.frames import read_frames, structure_of
from ...models.spec import ModelSpec
from ..errors import InputError
from ..ipi.input import IpiInput
from ..ipi.serving import ForceFieldElement, add_direct, serve
from ..ipi.sockets import own_name
from .forces import Forces, Load, choose_forces, named_from
from .potentials import model_of
from .start import read_as_ipi

__all__ = ["AdoptOptions", "adopted"]

SERVABLE = ("ffsocket", "ffdirect")
ENSEMBLES = ("nve", "nvt", "npt", "nst")
"""Modes of ``<dynamics>`` in which i-PI does multiple time stepping."""

READABLE = ("ase", "xyz", "pdb")


@dataclass(frozen=True)
class AdoptOptions:
    """What is asked for.

    Attributes:
        model: of the conservative forces, instead of what the input names.
        inner: of the forces inside, if it is another one.
        stride: inner steps in an outer one; ``None`` for what a check advises.
        template: file of the structure, seen from the input's folder.
    """

    model: ModelSpec | None = None
    inner: ModelSpec | None = None
    stride: int | None = None
    template: str | None = None


def adopted(
    source: IpiInput, options: AdoptOptions, load: Load, say: Callable[[str], None]
) -> IpiInput:
    """The input with its forces served by halfkick; the rest stays.

    Args:
        source: i-PI's input.
        options: what is asked for.
        load: loads a model.
        say: receives what was chosen, and why, in lines.

    Raises:
        HalfkickError: if that cannot be.
    """
    return _Adoption(source, options, load, say).result()


class _Adoption:
    """The way from the one input to the other."""

    def __init__(
        self, source: IpiInput, options: AdoptOptions, load: Load, say: Callable[[str], None]
    ) -> None:
        self._source = source
        self._options = options
        self._load = load
        self._say = say
        self._fields = [f for f in source.force_fields if f.kind in SERVABLE]
        if any("role" in field.parameters for field in self._fields):
            raise InputError(
                f"expected an input that is not yet for halfkick, got roles in <parameters> of "
                f"'{source.path}'; run it: halfkick run {source.path}"
            )

    def result(self) -> IpiInput:
        """The other input."""
        direct = [f for f in self._fields if _is_direct(f)]
        others = [f for f in self._fields if not _is_direct(f)]
        if len(direct) == len(others) == 1:
            return self._recipe(others[0], direct[0])
        if len(self._fields) == 1:
            return self._single(self._fields[0])
        names = ", ".join(f"{f.kind} '{f.name}'" for f in self._fields) or "none"
        raise InputError(
            f"expected one <ffsocket> or <ffdirect>, or two <ffdirect> of metatomic, one of which "
            f"is non_conservative, in '{self._source.path}', got {names}; write <parameters> "
            f"{{model: …, role: …, template: …}} by hand"
        )

    def _recipe(self, slow: ForceFieldElement, fast: ForceFieldElement) -> IpiInput:
        """Two force fields as they are, levels and weights included."""
        slow_model, fast_model = (
            self._model(slow, self._options.model),
            self._model(fast, self._options.inner or self._options.model),
        )
        template = self._template(slow)
        forces = self._forces(slow_model, fast_model, template)
        if not forces.is_mts:
            raise InputError(f"expected both forces for '{self._source.path}', got {forces.told}")
        self._say(f"forces: {forces.told}")
        made = self._serve(self._source, slow, slow_model, Role.CONSERVATIVE, template)
        return self._serve(made, fast, fast_model, forces.inner_role, template)

    def _single(self, field: ForceFieldElement) -> IpiInput:
        """One force field; with direct forces inside where that can be."""
        model = self._model(field, self._options.model)
        template = self._template(field)
        inner = self._options.inner
        forces = self._forces(model, inner, template)
        if forces.is_mts and (why := self._against_levels(field)):
            forces = forces.alone(why)
        made = self._serve(self._source, field, model, Role.CONSERVATIVE, template)
        steps = self._source.timestep_fs
        if forces.is_mts and steps is not None:
            forces, stride, reason = self._stride(forces, steps, template)
        self._say(f"forces: {forces.told}")
        if forces.hint:
            self._say(f"        {forces.hint}")
        if not forces.is_mts or steps is None:
            return made
        outer = stride * steps
        told = f"inner {steps:.6g} fs as before, M = {stride}, outer {outer:.6g} fs"
        self._say(f"steps: {told}; {reason}")
        self._say(
            f"       <total_steps> and strides of outputs count these, each {stride} of before"
        )
        name = "direct" if field.name != "direct" else "fast"
        made = made.changed_by(
            add_direct,
            field.name,
            name,
            self._parameters(inner or model, forces.inner_role, template, inner is not None),
            self._address(name),
        )
        return made.replace(timestep_fs=outer, nmts=(1, stride))

    def _stride(self, forces: Forces, inner_fs: float, template: str) -> tuple[Forces, int, str]:
        if self._options.stride is not None:
            return forces, self._options.stride, "as asked"
        atoms = self._start(template)
        temperature = self._source.ensemble.temperature_K or 300.0
        advice = advise_steps(
            forces.model, structure_of(atoms), masses_amu=atoms.get_masses(), inner_fs=inner_fs,
            temperature_K=temperature,
            log=lambda text: self._say(f"check: {text}"),
        )  # fmt: skip
        if advice.stride == 1:
            hint = "to have both forces all the same: --stride M"
            return forces.alone(advice.reason, hint), 1, advice.reason
        return forces, advice.stride, advice.reason

    def _against_levels(self, field: ForceFieldElement) -> str:
        """Why there can be no multiple time stepping; empty if nothing is against it."""
        systems = self._source.systems
        modes = {m.mode for s in systems for m in s.motions} - {"multi"}
        ensembles = {m.dynamics.mode for s in systems for m in s.motions if m.dynamics is not None}
        others = {f.forcefield for s in systems for f in s.forces} - {field.name}
        if field.wrapper:
            return f"'{field.name}' is inside of '{field.wrapper}'"
        if modes != {"dynamics"}:
            return f"i-PI has no levels in motion {', '.join(sorted(modes))}"
        if not ensembles <= {*ENSEMBLES}:
            return f"i-PI has no levels in dynamics {', '.join(sorted(ensembles - {*ENSEMBLES}))}"
        if others:
            return f"'{', '.join(sorted(others))}' acts too: give the forces their <mts_weights>"
        if len(self._source.nmts) > 1:
            return "the input has levels of its own"
        return ""

    def _model(self, field: ForceFieldElement, asked: ModelSpec | None) -> ModelSpec:
        """The model of a force field, as the new input names it."""
        folder = self._source.folder
        if asked is not None:
            return named_from(asked, folder)
        spec = model_of(field)
        if spec is None:
            raise InputError(
                f"expected --model for {field.kind} '{field.name}', whose "
                f"{field.pes or 'driver'} halfkick does not know; name one"
            )
        if "device" in field.parameters and field.parameters["device"] != "cpu":
            self._say(f"device: halfkick run … --device {field.parameters['device']}")
        return spec if spec.file(folder) is not None or spec.kind else named_from(spec, folder)

    def _template(self, field: ForceFieldElement) -> str:
        """The file of the structure, as the new input names it."""
        systems = self._source.systems
        start = systems[0].start_file if systems else None
        usable = start if start is not None and start[1] in READABLE else None
        known = None if field.part or usable is None else usable[0]
        name = self._options.template or field.parameters.get("template") or known
        if name is None:
            raise InputError(
                f"expected a file with the atoms of '{field.name}' in '{self._source.path}', got "
                f"none that ASE reads; give --template"
            )
        folder = self._source.folder
        if (folder / name).is_file():
            return name
        if Path(name).is_file():
            return str(Path(name).resolve())
        raise InputError(f"expected the structure '{name}' in '{folder}', found no such file")

    def _forces(self, model: ModelSpec, inner: ModelSpec | None, template: str) -> Forces:
        """The models, seen from the input's folder."""
        folder = self._source.folder
        return choose_forces(
            model, inner, self._start(template), self._source.needs_virial,
            lambda spec: self._load(spec.in_folder(folder)),
        )  # fmt: skip

    def _start(self, template: str) -> Atoms:
        """The template, at the positions and in the cell that i-PI begins with."""
        folder = self._source.folder
        start = self._source.systems[0].start_file if self._source.systems else None
        atoms = None
        if start is not None and start[1] in READABLE and (folder / start[0]).is_file():
            atoms = read_as_ipi(folder / start[0], start[1])[0]
        if start is not None and start[0] == template and start[1] != "ase" and atoms is not None:
            return atoms
        (known,) = read_frames(folder / template, "0")
        if atoms is not None and len(atoms) == len(known):
            known.set_cell(atoms.cell)
            known.set_positions(atoms.positions)
            known.set_masses(atoms.get_masses())
        return known

    def _serve(
        self, made: IpiInput, field: ForceFieldElement, model: ModelSpec, role: Role, template: str
    ) -> IpiInput:
        parameters = self._parameters(model, role, template)
        return made.changed_by(serve, field.name, parameters, self._address(field.name))

    def _parameters(
        self, model: ModelSpec, role: Role, template: str, asked: bool = False
    ) -> Mapping[str, str]:
        named = named_from(model, self._source.folder) if asked else model
        return {"model": str(named), "role": str(role), "template": template}

    def _address(self, name: str) -> str:
        return f"{own_name(self._source.folder)}_{name}"


def _is_direct(field: ForceFieldElement) -> bool:
    """Whether it is i-PI's metatomic with direct forces."""
    return field.parameters.get("non_conservative", "").lower() in ("true", "1")
