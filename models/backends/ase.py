"""Any ASE calculator as a source of forces: conservative ones, or direct ones where it says so."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, PropertyNotImplementedError
from numpy.typing import NDArray

from ..base import NO_INPUTS, Capabilities, ForceModel, ForceResult, Role, Structure
from ..errors import ModelError
from ..registry import kind_with
from ..spec import ModelSpec
from .conventions import convention_of, role_of
from .factory import find_factory, with_device_and_dtype
from .wrap import near_origin

__all__ = ["AseModel", "load"]

logger = logging.getLogger(__name__)

FORCES = {"energy", "free_energy", "forces", "stress"}
UNITS = {"dipole": "e*Angstrom", "energies": "eV", "stresses": "eV/Angstrom^3"}
"""Of ASE's other properties; charges are in e, magnetic moments in Bohr magnetons."""


def load(spec: ModelSpec, device: str, dtype: str | None) -> AseModel:
    """Make the calculator that ``module:factory`` gives.

    The option ``uses=charge,spin`` says which of them it takes from ``info``, if it does.

    Raises:
        ModelError: if there is no such function, or what it returns is no calculator with forces.
    """
    factory = find_factory(spec.target)
    options = with_device_and_dtype(factory, spec.options, device, dtype)
    uses = [name.strip() for name in str(options.pop("uses", "")).split(",") if name.strip()]
    if not {*uses} <= {"charge", "spin"}:
        raise ModelError(f"expected uses=charge,spin or one of them, got '{','.join(uses)}'")
    return AseModel(spec.target, factory, options, uses=uses)


class AseModel(ForceModel):
    """Serves an ASE calculator, one structure after the other.

    There is one calculator for all slots: what it caches (neighbour lists, wavefunctions) it
    renews by its own rules. It gets what a structure's file says in ``info`` and in arrays, as it
    would from ASE.

    Args:
        name: for messages.
        factory: returns the calculator.
        options: keyword arguments of the factory.
        role: of its forces; by default what the calculator says of itself, else conservative.
        uses: ``charge``, ``spin``, if it takes them from ``info`` and
            :mod:`~halfkick.models.backends.conventions` does not know it.

    Raises:
        ModelError: if the factory fails or what it returns is no calculator with forces.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[..., Any],
        options: Mapping[str, Any] | None = None,
        *,
        role: Role | None = None,
        uses: Collection[str] = (),
    ) -> None:
        self.name = name
        self._default_dtype: Any = None
        with self._own_torch_default(), quiet():
            try:
                self.calculator = factory(**(options or {}))
            except Exception as error:
                raise ModelError(
                    f"expected '{name}' to return an ASE calculator, got "
                    f"{type(error).__name__}: {error}; check its options"
                ) from error
        listed = getattr(self.calculator, "implemented_properties", ())
        if not (isinstance(self.calculator, BaseCalculator) and {"energy", "forces"} <= {*listed}):
            raise ModelError(
                f"expected '{name}' to return an ASE calculator with energy and forces, got "
                f"{type(self.calculator).__name__}; name its class or a function that returns one"
            )
        self._free_energy = "free_energy" in listed
        kind = kind_with(type(self.calculator).__module__.partition(".")[0])
        self._mixed_periodicity = kind is None or kind.mixed_periodicity
        self._role = role or role_of(self.calculator) or Role.CONSERVATIVE
        roles = frozenset({self._role})
        # Calculators of SO3LR list the stress even where they are told not to compute it.
        stress = "stress" in listed and getattr(self.calculator, "compute_stress", True)
        own = {*listed} - FORCES if self._role is Role.CONSERVATIVE else set()
        told = convention_of(self.calculator, uses)
        self._tell = told.tell
        self._last_inputs = NO_INPUTS
        self.capabilities = Capabilities(
            roles,
            roles if stress else frozenset(),
            inputs=told.inputs,
            charges=told.charges,
            spins=told.spins,
            outputs={name: UNITS.get(name, "") for name in own},
        )

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        """Evaluate the structures in turn.

        The virial is zero unless it is needed and all directions are periodic.

        The energy is the one that belongs to the forces: ASE's ``free_energy`` where offered; zero
        with direct ones.

        Raises:
            ModelError: if a role is not offered or the calculator fails.
        """
        for role in roles:
            self.check((), role)
        with self._own_torch_default():
            return [{self._role: self._evaluate(s)} for s in structures]

    def check(self, numbers: Sequence[int] | NDArray[np.int_], role: Role) -> None:
        """Raise ModelError, too, for atoms of no element, which calculators may take for some."""
        super().check(numbers, role)
        if 0 in numbers:
            raise ModelError(
                f"expected elements for model '{self.name}', got atoms of none (labelled X or by "
                f"another name); give them the label of an element"
            )

    def _evaluate(self, structure: Structure) -> ForceResult:
        pbc = structure.pbc
        if not self._mixed_periodicity and pbc.any() and not pbc.all():
            raise ModelError(
                f"expected a structure periodic in all directions or none for '{self.name}', got "
                f"pbc {' '.join('FT'[int(p)] for p in pbc)}, which it takes for T T T; make a slab "
                f"periodic with a vacuum, or take another model"
            )
        inputs = structure.inputs
        atoms = Atoms(
            structure.numbers, near_origin(structure), cell=structure.cell, pbc=structure.pbc,
            info=dict(inputs.info),
        )  # fmt: skip
        atoms.arrays.update(inputs.arrays)
        self._tell(atoms, inputs)
        if inputs is not self._last_inputs and inputs.key != self._last_inputs.key:
            self.calculator.reset()  # its results: ASE does not look whether info has changed
        self._last_inputs = inputs
        atoms.calc = self.calculator
        virial = np.zeros((3, 3))
        wants_virial = self.needs_virial and bool(self.capabilities.stress)
        if hasattr(self.calculator, "compute_stress"):  # SO3LR and its like compute it unasked
            self.calculator.compute_stress = wants_virial
        try:
            forces = np.array(atoms.get_forces(), dtype=np.float64)
            energy = 0.0
            if self._role is Role.CONSERVATIVE:
                energy = float(atoms.get_potential_energy(force_consistent=self._free_energy))
            if wants_virial and structure.pbc.all():
                virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
            outputs = {
                name: np.array(self.calculator.get_property(name, atoms), dtype=np.float64)
                for name in self.wanted_outputs
            }
        except PropertyNotImplementedError as error:
            raise ModelError(
                f"expected '{self.name}' to compute the properties it lists, got none for {error}; "
                f"switch it on in the model's options, or take it from implemented_properties"
            ) from error
        except Exception as error:
            raise ModelError(
                f"expected '{self.name}' to evaluate {atoms.get_chemical_formula()}, got "
                f"{type(error).__name__}: {error}; check the structure and the model's options"
            ) from error
        return ForceResult(energy, forces, np.array(virial, dtype=np.float64), outputs)

    @contextlib.contextmanager
    def _own_torch_default(self) -> Iterator[None]:
        """Run with the torch default dtype that the calculator has set, then put back the other.

        torch need not be there, and may be imported by the calculator only.
        """
        torch = sys.modules.get("torch")
        before = torch.get_default_dtype() if torch else None
        if torch and self._default_dtype is not None:
            torch.set_default_dtype(self._default_dtype)
        try:
            yield
        finally:
            torch = sys.modules.get("torch")
            if torch:
                self._default_dtype = torch.get_default_dtype()
                torch.set_default_dtype(before or torch.float32)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send what is printed to the log: standard output belongs to the command line."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        for line in printed.getvalue().splitlines():
            logger.info("%s", line)
