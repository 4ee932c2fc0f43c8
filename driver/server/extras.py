"""What a force field sends besides energy, forces and virial: i-PI's extras.

One JSON object for each structure, in i-PI's units. Each of these ``<parameters>`` asks for more,
and only the force field that corrects may have them: they are made once for each outer step.

===========================  ======================================================================
``uncertainty_threshold``    ``energy_uncertainty``, of each atom; it is a limit, too
``energy_ensemble``          ``committee_pot``, the energy by each member
``force_virial_ensemble``    ``committee_force`` and ``committee_virial``, too: what
                             ``<ffcommittee>`` reads with ``parse_json``
``extras``                   outputs of the model by name, with spaces between; what comes before
                             the last ``::`` of a name is left out
===========================  ======================================================================

The first three are those of i-PI's own metatomic driver, and so are their numbers. That one sends
forces and virials of all members in one row, which ``<ffcommittee>`` of i-PI 3.3.1 does not take.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...models.base import ForceModel, ForceResult, Role
from ..errors import InputError
from .units import atomic_units

__all__ = ["EXTRAS_KEYS", "Extras", "uncertainty_of_atoms"]

EXTRAS_KEYS = ("energy_ensemble", "force_virial_ensemble", "extras")

UNCERTAINTY = "energy_uncertainty"
COMMITTEE = {
    "energy_ensemble": "committee_pot",
    "force_ensemble": "committee_force",
    "virial_ensemble": "committee_virial",
}
"""i-PI's name for each of a model's outputs."""


@dataclass(frozen=True)
class Extras:
    """The extras of a force field.

    Attributes:
        keys: what i-PI gets, by the model's name for it.
        factors: from eV and Å to i-PI's units, likewise.
        outputs: those names.
    """

    keys: Mapping[str, str]
    factors: Mapping[str, float]
    outputs: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", frozenset(self.keys))

    @classmethod
    def read(cls, parameters: Mapping[str, str], role: Role, model: ForceModel) -> Extras:
        """Take what ``<parameters>`` ask for.

        Raises:
            InputError: if the force field or the model cannot give it.
        """
        asked = _asked(parameters)
        if asked and role is not Role.CONSERVATIVE:
            raise InputError(
                f"expected {', '.join(dict.fromkeys(asked.values()))} in <parameters> of a "
                f"conservative force field, got role {role}; ask the one that corrects"
            )
        units = model.capabilities.outputs
        for output, parameter in asked.items():
            if output not in units:
                names = ", ".join(sorted(name for name in units if "@" not in name))
                raise InputError(
                    f"expected for {parameter} an output that model '{model.name}' has "
                    f"({names or 'it has none'}), got {output}; change <parameters>, or take a "
                    f"model that has it"
                )
        keys = {name: _key(name, parameter) for name, parameter in asked.items()}
        twice = [key for key in keys.values() if [*keys.values()].count(key) > 1 or key == "raw"]
        if twice:
            raise InputError(
                f"expected names for i-PI that differ and are not 'raw', got {', '.join(twice)}; "
                f"change <parameters> extras"
            )
        return cls(keys, {name: atomic_units(units[name]) for name in asked})

    def select(self, results: Sequence[ForceResult]) -> list[Mapping[str, NDArray[np.float64]]]:
        """What of the results is to be sent; empty if nothing is."""
        if not self.keys:
            return []
        return [{name: result.outputs[name] for name in self.keys} for result in results]

    def encode(self, outputs: Sequence[Mapping[str, NDArray[np.float64]]]) -> list[str] | None:
        """The extras of each structure as i-PI reads them; ``None`` if there are none."""
        if not self.keys:
            return None
        return [
            json.dumps({self.keys[k]: self._value(k, v) for k, v in o.items()}) for o in outputs
        ]

    def _value(self, name: str, values: NDArray[np.float64]) -> object:
        scaled = values * self.factors[name]
        if self.keys[name] in COMMITTEE.values() and scaled.ndim > 1:
            scaled = scaled.reshape(len(scaled), -1)  # a row for each member, as ffcommittee wants
        return scaled.tolist()


def uncertainty_of_atoms(
    outputs: Mapping[str, NDArray[np.float64]], n_atoms: int
) -> NDArray[np.float64]:
    """The uncertainty of each atom's energy, shape (N,), eV; an equal part of that of them all."""
    found = outputs[UNCERTAINTY]
    return found if found.ndim else np.full(n_atoms, found / n_atoms)


def _asked(parameters: Mapping[str, str]) -> dict[str, str]:
    """The outputs that parameters ask for, and which one does."""
    asked = {}
    if parameters.get("uncertainty_threshold", "off") != "off":
        asked[UNCERTAINTY] = "uncertainty_threshold"
    energies = _is_on(parameters, "energy_ensemble")
    forces = _is_on(parameters, "force_virial_ensemble")
    if forces and not energies:
        raise InputError(
            "expected energy_ensemble: on beside force_virial_ensemble in <parameters>, got none; "
            "add it"
        )
    if energies:
        asked["energy_ensemble"] = "energy_ensemble"
    if forces:
        asked |= dict.fromkeys(("force_ensemble", "virial_ensemble"), "force_virial_ensemble")
    return dict.fromkeys(parameters.get("extras", "").split(), "extras") | asked


def _is_on(parameters: Mapping[str, str], key: str) -> bool:
    """Whether a switch is on; i-PI's own driver has ``True`` for it."""
    text = parameters.get(key, "off").lower()
    if text not in ("on", "true", "off", "false"):
        raise InputError(f"expected {key} 'on' or 'off' in <parameters>, got '{parameters[key]}'")
    return text in ("on", "true")


def _key(name: str, parameter: str) -> str:
    if parameter != "extras" and name in COMMITTEE:
        return COMMITTEE[name]
    return name.rpartition("::")[2].partition("@")[0]
