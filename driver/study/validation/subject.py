"""What is validated: water, or a system of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ....models.base import Role
from ....models.spec import ModelSpec
from ...errors import InputError
from ...ipi.input import IpiInput
from ...ipi.mts_input import MtsInput, roles_of
from ...run.folder import RunFolder, find_input
from ...run.job import describe
from ...run.launch import copy_scenario
from .boxes import water_box

__all__ = ["QUANTUM_SCENARIO", "STRUCTURE", "Subject", "own_system", "water"]

SCENARIO, QUANTUM_SCENARIO = "water_nve_mts", "water_pimd_mts"
STRUCTURE = "init.xyz"


@dataclass(frozen=True)
class Subject:
    """A system with both forces.

    Attributes:
        name: to be shown.
        source: its input.
        models: of each role, as in ``<parameters> model``, seen from the working folder.
        species: labels of its atoms.
        is_water: whether it is made of water, which clusters can be cut from.
    """

    name: str
    source: MtsInput
    models: Mapping[Role, str]
    species: tuple[str, ...]
    is_water: bool = False


def water(model: str, molecules: int, folder: Path, scenario: str = SCENARIO) -> Subject:
    """A box of water with a model of water, the input of a scenario copied to a folder.

    Raises:
        InputError: if there is no box of so many molecules.
    """
    from ase.io import write

    box = water_box(molecules)
    path = RunFolder(copy_scenario(scenario, folder)).input
    source = IpiInput.read(path)
    name = str(ModelSpec.parse(model).in_folder(Path.cwd()))
    for socket in source.sockets:
        parameters = (socket.parameters or {}) | {"model": name, "template": STRUCTURE}
        source = source.replace_socket(socket.name, parameters=parameters)
    write(source.folder / STRUCTURE, box)
    source = source.replace(structure=STRUCTURE)
    source.write(path)
    shown = f"model {model}, {molecules} molecules"
    return Subject(shown, MtsInput(source), dict.fromkeys(Role, model), ("H", "O"), True)


def own_system(path: Path, *, quantum: bool = False) -> Subject:
    """The system of an input with both forces: its models, start, temperature, step and stride.

    Args:
        path: of the input, or of its folder.
        quantum: whether its beads are to be validated.

    Raises:
        InputError: if it is another kind of calculation, or says no temperature.
    """
    job = describe(find_input(path))
    source = MtsInput(job.source)
    (system,) = job.systems
    if quantum and system.system.beads == 1:
        raise InputError(
            f"expected nbeads above 1 in '{job.source.path}', got 1; start from the scenario "
            f"{QUANTUM_SCENARIO}, or leave --quantum out"
        )
    if not quantum and system.system.beads > 1:
        raise InputError(
            f"expected nbeads='1' in '{job.source.path}', got {system.system.beads}; validate the "
            f"forces on classical atoms, or quantum nuclei with --quantum"
        )
    if system.system.ensemble.temperature_K is None:
        raise InputError(
            f"expected a <temperature> in the <ensemble> of '{job.source.path}', got none; write "
            f"the one to start from, also for constant energy"
        )
    if system.atoms is None:
        raise InputError(
            f"expected the file that '{job.source.path}' starts from, found none that can be read"
        )
    sockets = roles_of(job.source).items()
    named = {role: (socket.parameters or {}).get("model", "") for role, socket in sockets}
    models = {r: str(ModelSpec.parse(name).in_folder(job.folder)) for r, name in named.items()}
    return Subject(str(path), source, models, tuple(sorted(set(system.atoms.labels))))
