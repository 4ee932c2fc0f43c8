"""A folder that runs, from a structure and a model: the scenario nearest to it, filled in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
from ase import Atoms

from ...models.base import Role
from ...models.check.advice import Advice
from ...models.spec import ModelSpec
from ..errors import InputError
from ..ipi.input import IpiInput
from ..ipi.motion import Bath
from ..ipi.outputs import Output, Outputs, of_ring_polymers
from ..ipi.serving import set_correction
from ..ipi.sockets import own_prefix
from .forces import Forces, Load, choose_forces, named_from
from .options import InitOptions
from .start import Start, read_start
from .steps import choose_steps

__all__ = ["write_folder"]

STRUCTURE, INPUT = "init.xyz", "input.xml"
FEW_ATOMS = 32  # one thermostat of all would leave the motions of so few as they are
POSITIONS_FS, VELOCITIES_FS = 20.0, 4.0  # between two frames
MANY_ATOMS = 1000  # whose velocities would fill a disk
BATCH_LATENCY_S = 1e-3  # below it i-PI sends batches that are half filled


def write_folder(
    source: str,
    model: ModelSpec,
    inner: ModelSpec | None,
    folder: Path,
    options: InitOptions,
    load: Load,
    say: Callable[[str], None],
) -> Path:
    """Write ``input.xml`` and ``init.xyz`` into a new folder.

    Args:
        source: file of the structure.
        model: of the conservative forces.
        inner: of the forces inside, if it is another one.
        folder: must not be there, or be empty.
        options: what is asked for.
        load: loads a model.
        say: receives what was chosen, and why, in lines.

    Returns:
        The input.

    Raises:
        HalfkickError: if it cannot run; nothing is written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"expected a new folder, got '{folder}', which is there; name another --out"
        )
    start = read_start(source, model)
    _refuse_impossible(start, options)
    for spec in filter(None, (model, inner)):
        named_from(spec, folder)  # before it is loaded: whether i-PI can pass it on
    say(f"structure: {_told(start.atoms)}" + "".join(f"; {note}" for note in start.notes))
    forces = choose_forces(model, inner, start.atoms, options.ensemble == "npt", load)
    if not forces.is_mts and ((options.stride or 1) > 1 or options.contraction):
        raise InputError(f"expected two forces for --stride or --contraction, got {forces.told}")
    if note := _small_cell(start.atoms, forces.model.capabilities.cutoff):
        say(note)
    forces, steps = choose_steps(forces, start, options, say)
    say(f"forces: {forces.told}")
    if forces.hint:
        say(f"        {forces.hint}")
    say(_told_steps(forces, steps))
    text = files("halfkick.ipi_inputs").joinpath(f"water_{options.ensemble}_mts", INPUT).read_text()
    made = _filled_in(IpiInput.parse(text), start, forces, steps, options)
    made = _with_sockets(made, forces, options, folder)
    say(f"ensemble: {_told_ensemble(made, options)}")
    folder.mkdir(parents=True, exist_ok=True)
    start.atoms.write(folder / STRUCTURE, format="extxyz")
    xml = folder / INPUT
    xml.write_text(_headed(made.laid_out_as(text), source, forces))
    return xml


def _refuse_impossible(start: Start, options: InitOptions) -> None:
    """Raise InputError for what i-PI would run wrongly or not at all."""
    pbc = " ".join("FT"[int(p)] for p in start.atoms.pbc)
    if options.ensemble == "npt" and not start.atoms.pbc.all():
        raise InputError(
            f"expected a structure that is periodic in three directions for --npt, got pbc {pbc}; "
            f"use --nvt"
        )
    if options.ensemble == "npt" and start.fixed:
        raise InputError(
            "expected no fixed atoms with --npt, which i-PI would scale with the cell, got "
            f"{len({c // 3 for c in start.fixed})}; use --nvt, or remove the constraint"
        )
    if options.thermostat is not None and options.ensemble == "nve":
        raise InputError("expected --nvt or --npt with --thermostat, got --nve; leave one out")
    if options.beads > 1 and options.thermostat in ("svr", "langevin"):
        raise InputError(
            f"expected pile_g or pile_l for {options.beads} beads, got '{options.thermostat}'; "
            f"leave --thermostat out"
        )
    if options.contraction is not None and not options.contraction < options.beads:
        raise InputError(
            f"expected --contraction below the number of beads, {options.beads}, got "
            f"{options.contraction}; give --beads"
        )


def _small_cell(atoms: Atoms, cutoff: float | None) -> str:
    """What to know of a cell that a model's range is too long for; empty if there is none."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    across = min(heights[atoms.pbc], default=np.inf)
    if cutoff is None or across >= cutoff:
        return ""
    return (
        f"           its cell is {across:.2f} Å across, the model's range {cutoff:g} Å: atoms feel "
        f"their own images"
    )


def _filled_in(
    scenario: IpiInput, start: Start, forces: Forces, steps: Advice, options: InitOptions
) -> IpiInput:
    """The scenario with this structure, these steps and conditions."""
    stride = steps.stride if forces.is_mts else 1
    outer_fs = stride * steps.inner_fs
    made = scenario if forces.is_mts else scenario.with_one_force_field(str(Role.CONSERVATIVE))
    if forces.is_mts and options.contraction is not None:
        fields = str(Role.DIRECT), str(Role.CONSERVATIVE)
        made = made.changed_by(set_correction, *fields, options.contraction)
    bath = options.thermostat or _usual_thermostat(len(start.atoms), options.beads)
    return made.replace(
        total_steps=max(1, round(1e3 * options.ps / outer_fs)),
        seed=options.seed,
        timestep_fs=outer_fs,
        nmts=(1, stride) if forces.is_mts else (),
        thermostat=None if options.ensemble == "nve" else Bath(bath, options.tau_fs),
        temperature_K=options.temperature_K,
        pressure_MPa=options.pressure_MPa if options.ensemble == "npt" else None,
        beads=options.beads,
        masses_amu=None if start.masses_amu is None else start.masses_amu.tolist(),
        fixed=start.fixed,
        fixcom=False if len(start.atoms) == 1 else None,  # it would never move
        outputs=_outputs(scenario.outputs, outer_fs, start, options.beads),
    )


def _usual_thermostat(n_atoms: int, beads: int) -> str:
    if beads > 1:
        return "pile_g" if n_atoms >= FEW_ATOMS else "pile_l"
    return "svr" if n_atoms >= FEW_ATOMS else "langevin"


def _outputs(scenario: Outputs, outer_fs: float, start: Start, beads: int) -> Outputs:
    """Those of the scenario and velocities, often enough for vibrations where atoms are few."""
    n_atoms = len(start.atoms)
    every = max(1, int((VELOCITIES_FS if n_atoms <= MANY_ATOMS else POSITIONS_FS) / outer_fs))
    one = {} if beads == 1 else {"bead": "0"}
    items: list[Output] = []
    for item in scenario.items:
        if item.kind == "trajectory":
            rarely = every * max(1, round(POSITIONS_FS / outer_fs / every))
            items.append(replace(item, stride=rarely, attributes={**item.attributes, **one}))
            kind = "velocities" if beads == 1 else "v_centroid"
            items.append(Output("trajectory", kind, every, kind, item.attributes))
        elif item.kind == "properties" and beads > 1:
            own = of_ring_polymers(sorted(set(start.atoms.get_chemical_symbols())))
            items.append(replace(item, what=item.what.replace("kinetic_md{electronvolt}", own)))
        else:
            items.append(item)
    return Outputs(scenario.prefix, items)


def _with_sockets(made: IpiInput, forces: Forces, options: InitOptions, folder: Path) -> IpiInput:
    """The same input, whose sockets serve these models and are nobody else's."""
    served = {Role.CONSERVATIVE: (forces.outer, Role.CONSERVATIVE)}
    if forces.inner is not None:
        served[Role.DIRECT] = forces.inner, forces.inner_role
    for field, (spec, role) in served.items():
        model = named_from(spec, folder)
        beads = options.beads
        if field is Role.CONSERVATIVE and options.contraction is not None:
            beads = options.contraction
        made = made.replace_socket(
            str(field),
            parameters={"model": str(model), "role": str(role), "template": STRUCTURE},
            unix_name=str(field),
            batch_size=beads if beads > 1 else None,
            latency_s=BATCH_LATENCY_S if options.beads > 1 else None,
        )
    return made.replace(attributes={"sockets_prefix": own_prefix(folder)})


def _headed(text: str, source: str, forces: Forces) -> str:
    """The text with a comment of its own, instead of the scenario's."""
    comment = f" By halfkick init, from {source}. {forces.told} ".replace("--", "-")
    return f"<!--{comment}-->\n{text[text.index('<simulation') :]}"


def _told(atoms: Atoms) -> str:
    directions = " ".join("FT"[int(p)] for p in atoms.pbc)
    periodic = {3: "periodic", 0: "not periodic"}.get(int(atoms.pbc.sum()), f"pbc {directions}")
    count = f"{len(atoms)} atom{'s' if len(atoms) > 1 else ''}"
    return f"{count}, {atoms.get_chemical_formula('hill')}, {periodic}"


def _told_steps(forces: Forces, steps: Advice) -> str:
    if not forces.is_mts:
        return f"step: {steps.inner_fs:g} fs; {steps.reason}"
    outer = f"inner {steps.inner_fs:g} fs, M = {steps.stride}, outer"
    return f"steps: {outer} {steps.stride * steps.inner_fs:g} fs; {steps.reason}"


def _told_ensemble(made: IpiInput, options: InitOptions) -> str:
    bath = made.ensemble.thermostat
    words = [f"{options.ensemble} at {options.temperature_K:g} K"]
    if options.ensemble == "nve":
        words = [f"nve, from velocities of {options.temperature_K:g} K"]
    if options.ensemble == "npt":
        words.append(f"{options.pressure_MPa:g} MPa, isotropic")
    if bath is not None:
        words.append(f"{bath.mode} thermostat of {bath.tau_fs:g} fs")
    if options.beads > 1:
        contracted = f", corrected on {options.contraction}" if options.contraction else ""
        words.append(f"{options.beads} beads{contracted}")
    return ", ".join(words) + f"; {options.ps:g} ps are {made.total_steps} outer steps"
