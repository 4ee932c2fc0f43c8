"""One i-PI force field: the model and role it names, and i-PI's numbers made ours and back.

What i-PI asks is decoded to structures in Å, with cell vectors as rows; what a model gives is
collected in eV, and encoded in hartree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...models.base import (
    ExpectedGap,
    ForceModel,
    ForceResult,
    Role,
    Structure,
    all_finite,
)
from ...models.charge import check_inputs, log_unused
from ...models.served import MeanForce, served_forces
from ..errors import InputError
from ..ipi.flash import ENERGY, FlashInput
from .extras import EXTRAS_KEYS, Extras
from .limits import USUAL_GAP_FACTOR, Limits, max_norm_bound
from .places import Places
from .template import read_template
from .units import BOHR, HARTREE
from .wire.answer import Answer
from .wire.messages import Request

__all__ = ["ForceField", "ServedForces"]

PARAMETERS = (
    *("model", "role", "template", "charge", "spin", "mean_force", "energy", "energy_test"),
    *Limits.names(),
    *EXTRAS_KEYS,
)
ENERGY_PARAMETERS = (
    *("model", "role", "template", "charge", "spin"),
    *FlashInput.parameters(),  # for the stepper
)
"""Of role energy."""


@dataclass(eq=False)
class ServedForces:
    """What a force field serves of the results for B structures.

    Attributes:
        energies: shape (B,), eV.
        forces: shape (B, N, 3), eV/Å, their mean not yet removed.
        virials: ``-dE/dε``, shape (B, 3, 3), eV.
        outputs: what else goes to i-PI, for each structure by the model's name, in eV and Å;
            empty if nothing does.
        max_force_bound: no force is larger, eV/Å.
        is_finite: whether all numbers are, and stay so when the mean of the forces is removed.
    """

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virials: NDArray[np.float64]
    outputs: Sequence[Mapping[str, NDArray[np.float64]]] = ()
    max_force_bound: float = field(init=False)
    is_finite: bool = field(init=False)

    def __post_init__(self) -> None:
        self.max_force_bound = max_norm_bound(self.forces)
        # without the mean of all, a component is at most twice as large
        finite = isfinite(2.0 * self.max_force_bound)
        more = [array for outputs in self.outputs for array in outputs.values()]
        self.is_finite = finite and all_finite(self.energies, self.virials, *more)


class ForceField:
    """The forces of one role of one model, for the atoms of one template.

    Args:
        parameters: ``model``, ``role`` and ``template`` are required; ``mean_force`` is ``remove``
            (default: direct forces lose their mean, which would push the whole system) or ``keep``;
            ``energy`` is ``none`` (default: zero goes with direct forces) or ``model``; ``charge``
            and ``spin`` count instead of the template's; ``energy_test`` is ``on`` or ``off``;
            limits as in :mod:`halfkick.driver.server.guards.guard`; what else to send as in
            :mod:`halfkick.driver.server.extras`.
        load: gives the model of a specification; the same one each time it is asked.
        needs_virial: whether the ensemble uses the virial.
        max_move: its limit unless it is given, Å.

    Attributes:
        role: which forces it serves.
        energy_only: whether it serves the conservative energy alone, and forces of zero.
        roles: what has to be evaluated for that.
        numbers: atomic numbers of the template, shape (N,).
        pbc: periodic directions, shape (3,).
        inputs: charge, spin and what else of the template models are told.
        tests_energy: whether conservative forces are compared with the energy at the start.
        model: evaluates; force fields that name the same one share it.
        limits: beyond which the guard speaks.
        extras: what else it sends.
        identity: equal for force fields of the same model, atoms, charge and spin.

    Raises:
        InputError: if a parameter is missing, unknown or wrong.
        DataError: if the model would compute another charge or spin.
        ModelError: if the model cannot do what is asked.
    """

    def __init__(
        self,
        parameters: dict[str, str],
        load: Callable[[str], ForceModel],
        needs_virial: bool,
        max_move: float = np.inf,
    ) -> None:
        self.energy_only = parameters.get("role") == ENERGY
        known = ENERGY_PARAMETERS if self.energy_only else PARAMETERS
        for key in parameters:
            if key not in known:
                raise InputError(f"expected <parameters> {', '.join(known)}, got '{key}'")
        for key in ("model", "role", "template"):
            if not parameters.get(key):
                raise InputError(
                    f"expected '{key}' in <parameters> of the ffsocket, got none; add it"
                )
        self.role = Role.CONSERVATIVE if self.energy_only else _role(parameters["role"])
        self.template = parameters["template"]
        self.numbers, self.pbc, self.inputs = read_template(Path(self.template), parameters)
        direct = self.role is Role.DIRECT
        self.mean_force = MeanForce(_choice(parameters, "mean_force", *map(str, MeanForce)))
        self.with_energy = direct & (_choice(parameters, "energy", "none", "model") == "model")
        self.tests_energy = _choice(parameters, "energy_test", "on", "off") == "on"
        self.roles = {self.role, Role.CONSERVATIVE} if self.with_energy else {self.role}
        try:
            limits = Limits.read(parameters)
        except ValueError as error:
            raise InputError(f"{error}; correct <parameters>") from error
        self.model = load(parameters["model"])
        expected = self.expected_gap
        usual = {"max_move": max_move}
        if expected is not None and expected.p999 is not None:
            usual["max_gap"] = USUAL_GAP_FACTOR * expected.p999
        given = parameters.keys()
        self.limits = replace(limits, **{k: v for k, v in usual.items() if k not in given})
        for role in self.roles:
            self.model.check(self.numbers, role)
        model = self.model
        told = self.template, self.inputs, model.name, model.capabilities
        check_inputs(*told)
        log_unused(*told)
        self.identity = model, self.numbers.tobytes(), self.pbc.tobytes(), self.inputs.key
        self.extras = Extras.read(parameters, self.role, model)
        model.wanted_outputs |= self.extras.outputs
        if needs_virial and self.role not in self.model.capabilities.stress:
            raise InputError(
                f"expected a model with {self.role} stress, since the ensemble uses the virial, "
                f"but '{self.model.name}' has none; use a constant-volume ensemble or another model"
            )

    @property
    def expected_gap(self) -> ExpectedGap | None:
        """What the model's card says of these forces' distance from those that correct them."""
        expected = self.model.expected_gap
        return expected if expected is not None and expected.role is self.role else None

    def decode(
        self, request: Request, connection: str, places: Places | None = None
    ) -> list[Structure]:
        """Turn what i-PI sent into structures.

        Args:
            request: without padding.
            connection: its name.
            places: name the slots; without them a place in the batch is one.

        Raises:
            InputError: if the number of atoms is not the template's, or a number is not finite.
        """
        if request.n_atoms != len(self.numbers):
            raise InputError(
                f"expected {len(self.numbers)} atoms as in template '{self.template}', got "
                f"{request.n_atoms} from i-PI; use the structure that i-PI starts from"
            )
        if not all_finite(request.positions, request.cells):
            raise InputError(
                "expected finite positions and cell, got NaN or infinity from i-PI; the "
                "trajectory has broken down: go back to a checkpoint, with a smaller stride"
            )
        positions = request.positions * BOHR
        cells = np.multiply(request.cells.transpose(0, 2, 1), BOHR, order="C")
        if places is None:
            slots = [f"{connection}, place {bead}" for bead in range(len(positions))]
        else:
            slots = places.find(connection, positions, cells)
        return [
            Structure(self.numbers, p, c, self.pbc, slot, self.inputs)
            for p, c, slot in zip(positions, cells, slots, strict=True)
        ]

    def lacks(self, results: Mapping[Role, ForceResult]) -> set[Role]:
        """The roles that a structure is still to be evaluated for, by what is known of it."""
        roles = self.roles - results.keys()
        if not roles and not self.extras.outputs <= results[self.role].outputs.keys():
            return {self.role}
        return roles

    def collect(self, results: Sequence[Mapping[Role, ForceResult]]) -> ServedForces:
        """What this force field serves of the results for each structure."""
        source = Role.CONSERVATIVE if self.with_energy else self.role
        energies = np.array([r[source].energy for r in results])
        own = [r[self.role] for r in results]
        outputs = self.extras.select(own)
        if len(own) == 1:
            return ServedForces(energies, own[0].forces[None], own[0].virial[None], outputs)
        forces = np.concatenate([r.forces for r in own]).reshape(len(own), -1, 3)
        virials = np.concatenate([r.virial for r in own]).reshape(-1, 3, 3)
        return ServedForces(energies, forces, virials, outputs)

    def encode(self, served: ServedForces) -> Answer:
        """The same as i-PI gets it: direct forces without their mean, in atomic units."""
        forces = served_forces(served.forces, self.role, self.mean_force)
        return Answer(
            served.energies / HARTREE,
            forces * (BOHR / HARTREE),
            served.virials / HARTREE,
            self.extras.encode(served.outputs),
            known_finite=served.is_finite,
        )


def _choice(parameters: dict[str, str], key: str, default: str, other: str) -> str:
    value = parameters.get(key, default)
    if value not in (default, other):
        raise InputError(f"expected {key} '{default}' or '{other}' in <parameters>, got '{value}'")
    return value


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        names = " or ".join(role.value for role in Role)
        raise InputError(
            f"expected role {names} (or {ENERGY}) in <parameters>, got '{text}'"
        ) from None
