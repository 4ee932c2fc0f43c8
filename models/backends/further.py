"""What an exported model gives besides energy, forces and stress: uncertainties, ensembles, others.

================================  ==================================================================
``energy_uncertainty``            of each atom, eV
``energy_ensemble``               the energy by each member of an ensemble, eV
``force_ensemble``                minus the gradient of each of these energies, eV/Å
``virial_ensemble``               minus their derivatives by strain, eV
any other output of the model     in eV and Å where its unit is of these dimensions; of each atom
                                  if the model gives it so, else of the structure
``NAME@system``                   of the structure, of what the model can give of each atom
================================  ==================================================================
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import metatomic.torch as mta
import numpy as np
import torch
from numpy.typing import NDArray

from ..base import Structure
from ..errors import ModelError
from .engine import cut, symmetric, to_numpy
from .torchscript import Leaves, TorchScriptEngine

__all__ = ["FurtherOutputs"]

ENSEMBLE, UNCERTAINTY = "energy_ensemble", "energy_uncertainty"
GRADIENTS = ("force_ensemble", "virial_ensemble")
SYSTEM = "@system"

OWN_UNITS = (
    (r"kcal/mol|kj/mol|mev|ev|hartree|rydberg|ry", "eV"),
    (r"angstrom|a|bohr|nanometer|nm", "Angstrom"),
)
"""Units of energy and of length, as metatomic spells them, and ours."""

Array = NDArray[np.float64]


class Output(NamedTuple):
    """How to ask the model for an output.

    Attributes:
        name: the model's.
        kind: ``atom`` or ``system``.
        unit: of eV and Å.
        as_given: whether it may depend on the images of the cell in which atoms are, as a dipole.
    """

    name: str
    kind: str
    unit: str
    as_given: bool = True


class FurtherOutputs:
    """The outputs of one model that were not taken for forces.

    Those of structures and those of atoms are made in a pass each: LLPR of metatrain 2026.4, asked
    for an energy ensemble and the uncertainties of atoms at once, gives ensembles of atoms.

    Args:
        engine: runs the model.
        declared: all its outputs.
        taken: its names for energy, forces and stress.
        variant: which variant of the others.
        uncertainty_variant: which one of uncertainty and ensemble, if another.

    Attributes:
        units: of what it offers, by name.

    Raises:
        ModelError: if there is no such variant.
    """

    def __init__(
        self,
        engine: TorchScriptEngine,
        declared: Mapping[str, mta.ModelOutput],
        taken: Mapping[str, str],
        variant: str | None,
        uncertainty_variant: str | None,
    ) -> None:
        self._engine = engine
        self._outputs: dict[str, Output] = {}
        for name, output in declared.items():
            is_force = name in taken.values() or name.startswith("non_conservative_")
            if not is_force and output.sample_kind in ("atom", "system"):
                unit = own_unit(output.unit)
                self._outputs[name] = Output(name, output.sample_kind, unit)
                if output.sample_kind == "atom":
                    self._outputs[name + SYSTEM] = Output(name, "system", unit)
        of_variant = uncertainty_variant or variant
        suffix = f"/{of_variant}" if of_variant else ""
        found = {n for n in (ENSEMBLE, UNCERTAINTY) if n + suffix in self._outputs}
        if uncertainty_variant and not found:
            near = [n for n in declared if n.startswith((ENSEMBLE, UNCERTAINTY))]
            raise ModelError(
                f"expected a model with {UNCERTAINTY}{suffix} or {ENSEMBLE}{suffix}, got "
                f"{', '.join(near) or 'neither'}; correct uncertainty_variant in <parameters> model"
            )
        of_suffix = {name: self._outputs[name + suffix] for name in found}
        for name in (ENSEMBLE, UNCERTAINTY):
            self._outputs.pop(name, None)
        self._outputs |= {name: o._replace(as_given=False) for name, o in of_suffix.items()}
        self.units = {name: output.unit for name, output in self._outputs.items()}
        if ENSEMBLE in found:
            self._outputs[ENSEMBLE] = self._outputs[ENSEMBLE]._replace(kind="system")
            self.units |= {"force_ensemble": "eV/Angstrom", "virial_ensemble": "eV"}

    def evaluate(
        self, structures: Sequence[Structure], wanted: Collection[str]
    ) -> list[dict[str, Array]]:
        """Evaluate what is wanted for some structures.

        Raises:
            ModelError: if the model gives other than one row for each structure or atom.
        """
        results: list[dict[str, Array]] = [{} for _ in structures]
        gradients = [name for name in GRADIENTS if name in wanted]
        plain = {n for n in wanted if n not in GRADIENTS} | ({ENSEMBLE} if gradients else set())
        passes = {(o.kind, o.as_given) for o in map(self._outputs.__getitem__, plain)}
        for kind, as_given in sorted(passes):
            asked = [n for n in sorted(plain) if self._outputs[n][1::2] == (kind, as_given)]
            differentiable = bool(gradients) and ENSEMBLE in asked
            options = {
                o.name: mta.ModelOutput(unit=o.unit, sample_kind=kind)
                for o in map(self._outputs.__getitem__, asked)
            }
            values, leaves = self._engine.evaluate(
                structures, options, differentiable, differentiable, as_given
            )
            for name in asked:
                rows = self._rows(name, values[self._outputs[name].name], structures)
                for result, own in zip(results, rows, strict=True):
                    result[name] = own
            if differentiable:
                energies = values[self._outputs[ENSEMBLE].name]
                for result, more in zip(results, gradients_of(energies, leaves), strict=True):
                    result.update(zip(GRADIENTS, more, strict=True))
        return [{name: result[name] for name in wanted} for result in results]

    def _rows(
        self, name: str, values: torch.Tensor, structures: Sequence[Structure]
    ) -> Iterable[Array]:
        """What belongs to each structure; a last axis of one property is left out."""
        per_atom = self._outputs[name].kind == "atom"
        expected = sum(len(s.numbers) for s in structures) if per_atom else len(structures)
        if len(values) != expected:
            raise ModelError(
                f"expected {expected} rows of the output '{name}', one for each "
                f"{self._outputs[name].kind}, got {len(values)}; leave it out of <parameters>"
            )
        rows = to_numpy(values)
        if rows.ndim > 1 and rows.shape[-1] == 1 and name != ENSEMBLE:
            rows = rows[..., 0]
        return cut(rows, structures) if per_atom else list(rows)


def gradients_of(energies: torch.Tensor, leaves: Sequence[Leaves]) -> Iterable[tuple[Array, Array]]:
    """Differentiate the energies of n members, shape (B, n), eV, by the leaves of B structures.

    Returns:
        For each structure the forces of all members, shape (n, N, 3), eV/Å, and their virials,
        shape (n, 3, 3), eV.
    """
    inputs = [leaf for some in leaves for leaf in some]
    members = [
        torch.autograd.grad(-one.sum(), inputs, retain_graph=True, materialize_grads=True)
        for one in energies.unbind(dim=1)
    ]
    by_leaf = (np.stack([to_numpy(m) for m in leaf]) for leaf in zip(*members, strict=True))
    for some in leaves:
        forces, virials = islice(by_leaf, len(some))
        yield forces, symmetric(virials)


def own_unit(unit: str) -> str:
    """The unit with its energies in eV and its lengths in Å; others stay."""
    for theirs, ours in OWN_UNITS:
        unit = re.sub(rf"(?<![A-Za-z])(?:{theirs})(?![A-Za-z])", ours, unit, flags=re.IGNORECASE)
    return unit
