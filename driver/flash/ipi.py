"""i-PI with the stepper: i-PI's own simulation, in which a network takes the integrator's place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...models.errors import ModelError
from ..errors import InputError
from ..ipi.checks import check_input
from ..ipi.flash import STEPPER, FlashInput
from ..ipi.input import IpiInput
from ..run.folder import RunFolder
from ..run.prompt_ipi import hasten_ipi
from ..server.template import read_template

__all__ = ["run"]

SAME_STEP = 1e-6  # relative


def run(xml: Path, device: str = "cpu") -> None:
    """Run i-PI on an input, in the working directory, as ``i-pi`` does; this ends the process.

    Args:
        xml: the input, with a force field of role energy.
        device: of the network.

    Raises:
        InputError: if the input has no such force field, or another step than the network.
        ModelError: if the network is none, or is of other atoms.
    """
    from ipi.engine.simulation import Simulation
    from ipi.utils import softexit

    from ...models.flash.network import FlashNetwork

    source = IpiInput.read(xml)
    check_input(source, Path.cwd())
    flash, step_fs = source.flash, source.timestep_fs
    if flash is None or step_fs is None:
        raise InputError(
            f"expected a force field of role energy in '{xml}', got none; start it by i-pi"
        )
    network = FlashNetwork(flash.flash, device)
    if abs(network.stride_fs - step_fs) > SAME_STEP * step_fs:
        raise InputError(
            f"expected <timestep> {network.stride_fs:g} fs, the stride of '{flash.flash}', got "
            f"{step_fs:g} fs; write that step, or train a network for this one"
        )
    hasten_ipi()
    with xml.open() as file:
        simulation = Simulation.load_from_xml(file, request_banner=True)
    softexit.softexit.hard_exit = True
    for field in simulation.fflist.values():
        if field.name == flash.energy:
            announce(field)
    stepper = hook(simulation, network, source, flash, softexit.softexit.trigger)
    softexit.softexit.register_function(stepper.write_report)
    simulation.run()
    softexit.softexit.trigger(simulation.exit_status, simulation.exit_message)


def announce(field: Any) -> None:
    """Have a force field of i-PI's say in INIT that a stepper is there; its RESTART does not."""
    queue, parameters = field.queue, field.pars

    def queue_with_word(*args: Any, **named: Any) -> Any:
        field.pars = {**parameters, STEPPER: "halfkick"}
        try:
            return queue(*args, **named)
        finally:
            field.pars = parameters

    field.queue = queue_with_word


def hook(
    simulation: Any,
    network: Any,
    source: IpiInput,
    flash: FlashInput,
    trigger: Callable[[str, str], None],
) -> Any:
    """Put the stepper into i-PI's simulation."""
    from ipi.utils.units import unit_to_user

    from .stepper import Atoms, Stepper

    (system,) = simulation.syslist
    (socket,) = (s for s in source.sockets if s.forcefield == flash.energy)
    template = read_template(Path((socket.parameters or {}).get("template", "")))
    masses = np.array(system.beads.m)
    network.check(template.numbers, masses * unit_to_user("mass", "dalton", 1.0))
    weights = np.ones(len(masses))
    if flash.rescale == "species":
        errors = momentum_errors(Path(flash.flash))
        weights = np.array([errors[z] ** 2 for z in template.numbers.tolist()]) / masses
    atoms = Atoms(template.numbers, masses, template.pbc, weights)
    report = RunFolder(Path.cwd()).stepper
    return Stepper(
        system.motion, network, flash, atoms, report, lambda why: trigger("bad", f" {why}.")
    )


def momentum_errors(network: Path) -> dict[int, float]:
    """Errors of a network's momenta by atomic number, as its card says, (eV amu)^½.

    Raises:
        ModelError: if there is no card.
    """
    from ase.data import atomic_numbers

    path = network.with_suffix(".card.json")
    try:
        errors = json.loads(path.read_text())["errors"]
        return {atomic_numbers[s]: float(e["momentum"]["rmse"]) for s, e in errors.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"expected errors of momenta in '{path}' for rescale: species, got "
            f"{type(error).__name__}: {error}; write rescale: global"
        ) from error
