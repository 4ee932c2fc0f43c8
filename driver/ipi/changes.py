"""The changes that other inputs are made by, each to a copy of an input's ``<simulation>``."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from ...models.spec import ModelSpec
from ..errors import InputError
from .elements import attribute, put, put_child, remove, text_of, written
from .motion import Bath
from .outputs import Outputs
from .sockets import format_parameters, parse_parameters, socket_elements

__all__ = [
    "keep_one_force_field",
    "make_paths_absolute",
    "set_beads",
    "set_checkpoint",
    "set_direct",
    "set_ensemble",
    "set_fixcom",
    "set_fixed",
    "set_levels",
    "set_masses",
    "set_outputs",
    "set_pressure",
    "set_seed",
    "set_socket",
    "set_structure",
    "set_temperature",
    "set_thermostat",
    "set_thermostat_of",
    "set_timestep",
    "set_total_steps",
]

VALUES = ("manual", "thermal")
"""How a part of the initial state is given that is no file."""


def set_total_steps(root: Element, steps: int) -> None:
    """Set the number of outer steps."""
    put(root, "total_steps", str(steps))


def set_seed(root: Element, seed: int) -> None:
    """Set the seed of i-PI's random numbers."""
    put(root, "prng/seed", str(seed))


def set_outputs(root: Element, outputs: Outputs) -> None:
    """Set what i-PI writes."""
    put_child(root, outputs.element())


def set_timestep(root: Element, timestep_fs: float) -> None:
    """Set the outer step of all dynamics."""
    for dynamics in root.iter("dynamics"):
        put(dynamics, "timestep", f"{timestep_fs:.12g}", units="femtosecond")


def set_levels(root: Element, nmts: Sequence[int]) -> None:
    """Set the steps at each level of multiple time stepping; none for a single level."""
    for dynamics in root.iter("dynamics"):
        if nmts:
            put(dynamics, "nmts", written(nmts)).attrib.clear()  # of the shape in a RESTART
        else:
            remove(dynamics, "nmts")


def set_ensemble(root: Element, mode: str, thermostat: Bath | None) -> None:
    """Set mode and thermostat of all dynamics, of which nothing else stays but the steps."""
    for dynamics in root.iter("dynamics"):
        dynamics.attrib = {"mode": mode}
        for child in list(dynamics):
            if child.tag not in ("timestep", "nmts"):
                dynamics.remove(child)
    if thermostat is not None:
        set_thermostat(root, thermostat)


def set_thermostat(root: Element, thermostat: Bath) -> None:
    """Set the thermostat of the atoms in all dynamics."""
    for dynamics in root.iter("dynamics"):
        bath = Element("thermostat", mode=thermostat.mode)
        if thermostat.tau_fs is not None:
            put(bath, "tau", f"{thermostat.tau_fs:.12g}", units="femtosecond")
        put_child(dynamics, bath)


def set_thermostat_of(root: Element, other: Element) -> None:
    """Take the thermostat of another ``<simulation>``'s dynamics, and where in a step it acts."""
    source = other.find(".//dynamics")
    thermostat = None if source is None else source.find("thermostat")
    if source is None or thermostat is None:
        raise InputError("expected a <thermostat> in <dynamics>, got none")
    for dynamics in root.iter("dynamics"):
        put_child(dynamics, copy.deepcopy(thermostat))
        if splitting := attribute(source, "splitting"):
            dynamics.set("splitting", splitting)


def set_temperature(root: Element, temperature_K: float) -> None:
    """Set the temperature of all systems, and of the velocities that they begin with."""
    for system in root.iter("system"):
        put(system, "ensemble/temperature", f"{temperature_K:.12g}", units="kelvin")
    for initialize in _initializers(root):
        for velocities in initialize.iterfind("velocities"):
            if attribute(velocities, "mode") == "thermal":
                put(initialize, "velocities", f"{temperature_K:.12g}", units="kelvin")


def set_pressure(root: Element, pressure_MPa: float) -> None:
    """Set the pressure on all systems."""
    for system in root.iter("system"):
        put(system, "ensemble/pressure", f"{pressure_MPa:.12g}", units="megapascal")


def set_masses(root: Element, masses_amu: Sequence[float]) -> None:
    """Begin with masses of one's own; amu, of all atoms."""
    for initialize in _initializers(root):
        masses = put(initialize, "masses", written(masses_amu), mode="manual", units="dalton")
        initialize.remove(masses)
        files = [i for i, child in enumerate(initialize) if child.tag == "file"]
        initialize.insert(files[-1] + 1 if files else 0, masses)  # velocities are drawn by them


def set_fixed(root: Element, coordinates: Collection[int]) -> None:
    """Fix coordinates in all motions: 3 times the index of an atom, plus 0, 1, 2 for x, y, z."""
    whole = [c for c in coordinates if c % 3 == 0 and {c + 1, c + 2} <= {*coordinates}]
    atoms = sorted(c // 3 for c in whole)
    single = sorted(c for c in coordinates if c // 3 not in atoms)
    for motion in root.iter("motion"):
        for tag, fixed in (("fixatoms", atoms), ("fixatoms_dof", single)):
            if fixed:
                put(motion, tag, written(fixed))


def set_fixcom(root: Element, fixed: bool) -> None:
    """Hold the centre of mass in all motions, or let it move."""
    for motion in root.iter("motion"):
        put(motion, "fixcom", str(fixed))


def set_beads(root: Element, beads: int) -> None:
    """Set the beads of all systems."""
    for initialize in root.iter("initialize"):
        initialize.set("nbeads", str(beads))


def set_structure(root: Element, name: str) -> None:
    """Begin from a file that ASE reads; of the input's start only thermal velocities stay."""
    for initialize in _initializers(root):
        _begin_from(initialize, name, "ase")


def set_checkpoint(root: Element, path: Path, temperature_K: float | None) -> None:
    """Begin from a checkpoint's positions and cell, with new velocities.

    Args:
        root: the ``<simulation>``.
        path: of the checkpoint.
        temperature_K: of velocities, where the input has no thermal ones.
    """
    for initialize in _initializers(root):
        _begin_from(initialize, str(path.resolve()), "chk")
        if initialize.find("velocities") is None:
            if temperature_K is None:
                raise InputError("expected <temperature> in <ensemble> for velocities, got none")
            put(initialize, "velocities", f"{temperature_K:.12g}", mode="thermal", units="kelvin")


def _begin_from(initialize: Element, name: str, mode: str) -> None:
    for child in list(initialize):
        if child.tag != "velocities" or attribute(child, "mode") != "thermal":
            initialize.remove(child)
    file = Element("file", mode=mode)
    file.text = f" {name} "
    initialize.insert(0, file)


def set_socket(
    root: Element,
    name: str,
    parameters: Mapping[str, str] | None,
    unix_name: str | None,
    batch_size: int | None,
    latency_s: float | None = None,
) -> None:
    """Set what one socket says of parameters, address and so on, where it is not ``None``."""
    element = _socket(root, name)
    if parameters is not None:
        put(element, "parameters", format_parameters(parameters))
    if unix_name is not None:
        element.set("mode", "unix")
        put(element, "address", unix_name)
    if batch_size is not None:
        put(element, "batch_size", str(batch_size))
    if latency_s is not None:
        put(element, "latency", f"{latency_s:g}")


def set_direct(
    root: Element, name: str, pes: str, parameters: Mapping[str, str], batch_size: int
) -> None:
    """Put an ``<ffdirect>`` in the place of one socket."""
    element = _socket(root, name)
    element.tag = "ffdirect"
    element.attrib.pop("mode", None)
    for child in list(element):
        if child.tag not in ("parameters", "batch_size"):
            element.remove(child)
    put(element, "pes", pes)
    put(element, "batch_size", str(batch_size))
    put(element, "parameters", format_parameters(parameters))


def keep_one_force_field(root: Element, name: str, served: Collection[str]) -> None:
    """Let one force field that is served act in full on all beads at a single level.

    The others that are served go; those that i-PI computes stay, with all of their weight.
    """
    for field in list(root):
        own = attribute(field, "name")
        if field.tag.startswith("ff") and own in served and own != name:
            root.remove(field)
    for forces in root.iter("forces"):
        for force in list(forces):
            if attribute(force, "forcefield") in served:
                forces.remove(force)
            else:
                remove(force, "mts_weights")
        SubElement(forces, "force", forcefield=name)


def make_paths_absolute(root: Element, folder: Path) -> None:
    """Make the files absolute that force fields and initial states name, seen from a folder."""
    for element, _ in socket_elements(root):
        parameters = parse_parameters(text_of(element, "parameters"))
        if (template := folder / parameters.get("template", "")).is_file():
            parameters["template"] = str(template)
        model = ModelSpec.parse(parameters.get("model", ""))
        if model.file(folder) is not None:
            parameters["model"] = str(model.in_folder(folder))
        put(element, "parameters", format_parameters(parameters))
    for initialize in _initializers(root):
        for child in initialize:
            name = (child.text or "").strip()
            if attribute(child, "mode") not in VALUES and (folder / name).is_file():
                child.text = f" {folder / name} "


def missing_files(root: Element, folder: Path) -> list[str]:
    """Which templates and initial states are not found from a folder."""
    names = [
        parse_parameters(text_of(element, "parameters")).get("template", "")
        for element, _ in socket_elements(root)
    ]
    names += [
        (child.text or "").strip()
        for child in root.iterfind(".//initialize/*")
        if attribute(child, "mode") not in VALUES
    ]
    return [name for name in names if name and not (folder / name).is_file()]


def _initializers(root: Element) -> Iterator[Element]:
    """The ``<initialize>`` of each system.

    Raises:
        InputError: if a system has none.
    """
    for system in root.iter("system"):
        initialize = system.find("initialize")
        if initialize is None:
            raise InputError(
                "expected <initialize> in <system>, got none; give an input, not a RESTART"
            )
        yield initialize


def _socket(root: Element, name: str) -> Element:
    for element, _ in socket_elements(root):
        if attribute(element, "name") == name:
            return element
    raise InputError(f"expected an <ffsocket> called '{name}', got none")
