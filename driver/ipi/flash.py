"""What an input says of FlashMD: a network that moves the atoms many femtoseconds in one step.

The network takes the place of i-PI's integrator (arXiv 2505.19350). Its ``<ffsocket>`` serves the
energy alone (``role: energy``) and names the network (``flash: flash.pt``). The force fields that
stand beside it at ``weight='0'`` are for steps that are refused: i-PI's own integrator does those
again, by its ``<nmts>``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf, nan
from typing import Any

from ..errors import InputError
from .sockets import Socket
from .system import System

__all__ = ["ENERGY", "STEPPER", "FlashInput", "energy_sockets", "read_flash"]

ENERGY = "energy"
"""The role of a force field whose energy counts, and whose forces are zero."""

STEPPER = "stepper"
"""The word by which the stepper says in INIT that nothing integrates these zero forces."""

RESCALE = ("global", "species", "none")
WORKS = (
    "one <system> of one bead, <dynamics mode='nve'>, or 'nvt' with a langevin thermostat and the "
    "splitting obabo, no fixed atoms and no bias, where a force field of role energy stands"
)
ROUNDING = 1e-9


@dataclass(frozen=True)
class FlashInput:
    """The network of an input, and how its steps are corrected and watched.

    Attributes:
        energy: the force field of role energy.
        fallback: those at weight 0.
        flash: file of the network.
        rescale: how momenta are changed to keep the total energy: ``global`` by one factor,
            ``species`` by one for each species, larger where the network errs more, or ``none``.
        rotate: whether the network sees the structure turned and mirrored at random.
        max_error: limit of the change of the total energy in a step before momenta are rescaled,
            a part of the kinetic energy.
        max_move: limit of an atom's displacement in a step, Å.
        max_imbalance: limit of the difference between the temperature of a species and that of
            all, in standard deviations of a canonical ensemble.
    """

    energy: str
    fallback: tuple[str, ...]
    flash: str
    rescale: str = "global"
    rotate: bool = True
    max_error: float = 0.1
    max_move: float = 1.0
    max_imbalance: float = 6.0

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        """Those that stand among the ``<parameters>`` of the energy."""
        return tuple(
            field.name for field in fields(cls) if field.name not in ("energy", "fallback")
        )


def energy_sockets(sockets: Sequence[Socket]) -> list[Socket]:
    """Those that serve an energy alone."""
    return [s for s in sockets if (s.parameters or {}).get("role") == ENERGY]


def read_flash(sockets: Sequence[Socket], systems: Sequence[System]) -> FlashInput | None:
    """What an input says of FlashMD; ``None`` if it says nothing.

    Raises:
        InputError: if something else in it does not go with FlashMD.
    """
    found = energy_sockets(sockets)
    if not found:
        return None
    energy = found[0].forcefield
    for fault in _faults(energy, len(found), systems):
        raise InputError(f"expected {WORKS}, got {fault}; correct it, or leave that role out")
    others = [f.forcefield for f in systems[0].forces if f.forcefield != energy]
    return FlashInput(energy, tuple(others), **_settings(found[0].parameters or {}))


def _faults(energy: str, count: int, systems: Sequence[System]) -> Iterator[str]:
    """What does not go with FlashMD."""
    if len(systems) != 1 or count != 1:
        yield f"{len(systems)} systems and {count} force fields of role energy"
        return
    (system,) = systems
    dynamics, modes = system.dynamics, [motion.mode for motion in system.motions]
    if system.beads != 1:
        yield f"{system.beads} beads"
    if dynamics is None or modes != ["dynamics"]:
        yield f"<motion mode='{modes[0] if modes else ''}'>"
        return
    if dynamics.mode not in ("nve", "nvt"):
        yield f"<dynamics mode='{dynamics.mode}'>"
    bath = "none" if dynamics.thermostat is None else dynamics.thermostat.mode
    if dynamics.mode == "nvt" and bath != "langevin":
        yield f"<thermostat mode='{bath}'>"
    if dynamics.splitting != "obabo":
        yield f"splitting='{dynamics.splitting}'"
    if system.fixed_coordinates:
        yield "<fixatoms>"
    if len(system.force_fields) != len(system.forces):
        yield "a bias"
    yield from _faults_of_forces(energy, system)


def _faults_of_forces(energy: str, system: System) -> Iterator[str]:
    own = [force for force in system.forces if force.forcefield == energy]
    others = [force for force in system.forces if force.forcefield != energy]
    if abs(sum(force.total_weight for force in own) - 1.0) > ROUNDING:
        yield f"'{energy}' with weights that do not add up to 1"
    if weighted := [force.forcefield for force in others if force.weight != 0.0]:
        yield f"'{weighted[0]}' beside it without weight='0'"
    total = sum(sum(force.mts_weights) for force in others)
    if abs(total - 1.0) > ROUNDING:
        yield (
            f"mts_weights that add up to {total:g}, not 1, in the force fields at weight='0', by "
            f"which refused steps are done again"
        )


def _settings(parameters: Mapping[str, str]) -> dict[str, Any]:
    settings: dict[str, Any] = {"flash": parameters.get("flash", "")}
    if not settings["flash"]:
        raise InputError(
            "expected 'flash' in <parameters> of role energy, the file of a network that moves the "
            "atoms, got none; halfkick flash train makes one"
        )
    for key, words in (("rescale", RESCALE), ("rotate", ("on", "off"))):
        if (word := parameters.get(key, words[0])) not in words:
            raise InputError(f"expected {key} {', '.join(words)} in <parameters>, got '{word}'")
        settings[key] = word if key == "rescale" else word == "on"
    for key in ("max_error", "max_move", "max_imbalance"):
        if key in parameters:
            settings[key] = _limit(key, parameters[key])
    return settings


def _limit(key: str, text: str) -> float:
    try:
        value = inf if text == "off" else float(text)
    except ValueError:
        value = nan
    if not value > 0.0:
        raise InputError(f"expected a positive number or 'off' for {key}, got '{text}'")
    return value
