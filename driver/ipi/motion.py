"""Motion of the atoms of a system: modes, timesteps, fixed atoms, ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from xml.etree.ElementTree import Element

from ..errors import InputError
from .elements import attribute, numbers, quantity, text_of, truth
from .units import unit_factor

__all__ = ["Bath", "Dynamics", "Ensemble", "Motion"]

OF_VARIABLE_CELL = ("npt", "nst", "scnpt")
MOTIONS_THAT_USE_THE_VIRIAL = ("cellopt", "al-kmc")
MOTIONS_THAT_USE_THE_ENERGY = (
    *("minimize", "neb", "string", "instanton", "atomswap", "al-kmc", "normalmodes", "scp"),
)
"""Line searches, barriers, acceptance, fits: with energies of zero they go wrong silently."""
MOTIONS_OF_NO_ATOMS = ("t_ramp", "p_ramp", "dummy", "multi")
BAROSTATS_OF_THEIR_OWN = ("anisotropic", "flexible")
"""Those whose conserved quantity i-PI 3.3.1 does not conserve: the kinetic stress lacks what is off
the diagonal, and with ``<hfix>`` force and Jacobian disagree."""
GENERALISED = ("gle", "gle_g")
SAME = 1e-6  # of temperatures in a covariance


STRIDES_IGNORED = {
    "nvt-cc": "takes all forces once in a step, and divides the step by all of <nmts>",
}
FIRST_LEVEL_IGNORED = {
    mode: "divides the kick of the field by the first of <nmts>, and gives it once in a step"
    for mode in ("eda-nve", "eda-nvt")
}
"""Modes of dynamics that are wrong with some ``<nmts>``, and what i-PI 3.3.1 does."""


@dataclass(frozen=True)
class Bath:
    """A thermostat or a barostat.

    Attributes:
        mode: what i-PI calls it: ``svr``, ``pile_g``, ``isotropic`` and so on.
        tau_fs: its time scale; ``None`` if the input gives none.
    """

    mode: str
    tau_fs: float | None = None

    @property
    def conserved_remark(self) -> str:
        """Of a barostat: why it conserves nothing, whatever the forces; empty if it does."""
        own = self.mode in BAROSTATS_OF_THEIR_OWN
        return f"i-PI's own: its {self.mode} barostat conserves nothing" if own else ""


@dataclass(frozen=True)
class Ensemble:
    """The conditions of a system.

    Attributes:
        mode: what i-PI calls it: ``nve``, ``nvt``, ``npt`` and so on.
        temperature_K: that is aimed at, also by thermal velocities; ``None`` if there is none.
        pressure_MPa: from outside; ``None`` if there is none.
        thermostat: of the atoms.
        barostat: of the cell.
    """

    mode: str
    temperature_K: float | None = None
    pressure_MPa: float | None = None
    thermostat: Bath | None = None
    barostat: Bath | None = None


class Dynamics:
    """A ``<dynamics>``: what it says is read when it is asked."""

    def __init__(self, element: Element) -> None:
        self._element = element

    @property
    def mode(self) -> str:
        """What i-PI calls the ensemble."""
        return attribute(self._element, "mode", "nve")

    @property
    def timestep_fs(self) -> float:
        """The outer step; one atomic unit of time if the input says nothing, as in i-PI."""
        step = quantity(self._element, "timestep", "time", "femtosecond")
        return unit_factor("time", "atomic_unit", "femtosecond") if step is None else step

    @property
    def nmts(self) -> tuple[int, ...]:
        """Steps at each level in one of the level above, the outermost first; empty without."""
        text = text_of(self._element, "nmts")
        try:
            return numbers(text, int, "<nmts>")
        except InputError:
            raise InputError(f"expected <nmts> [1, M], got '{text}'") from None

    @property
    def inner_steps(self) -> int:
        """Evaluations of the fastest force in an outer step."""
        return prod(self.nmts)

    @property
    def splitting(self) -> str:
        """In which order thermostat, momenta and positions are propagated."""
        return attribute(self._element, "splitting", "obabo")

    @property
    def stride_fault(self) -> str | None:
        """What i-PI does wrong with the steps at the levels, if it does."""
        if self.inner_steps > 1 and self.mode in STRIDES_IGNORED:
            return STRIDES_IGNORED[self.mode]
        if self.nmts and self.nmts[0] > 1:
            return FIRST_LEVEL_IGNORED.get(self.mode)
        return None

    @property
    def thermostat(self) -> Bath | None:
        """What holds the temperature of the atoms."""
        return self._bath("thermostat")

    @property
    def barostat(self) -> Bath | None:
        """What holds the pressure."""
        return self._bath("barostat")

    @property
    def varies_cell(self) -> bool:
        """Whether a barostat acts."""
        return self.mode in OF_VARIABLE_CELL

    @property
    def holds_centroids(self) -> bool:
        """Whether the centroids of all atoms stand still."""
        return self.mode == "nvt-cc"

    @property
    def quantum_thermostat(self) -> str | None:
        """Mode of a thermostat that gives other kinetic energies than the temperature's."""
        element = self._quantum_thermostat
        return None if element is None else attribute(element, "mode")

    @property
    def holds_centroid_temperature(self) -> bool:
        """Whether the centroids of a quantum thermostat are at the temperature, as in PIGLET.

        Each normal mode has a covariance of its own then, and that of the first is of one
        temperature.
        """
        element = self._quantum_thermostat
        covariance = None if element is None else element.find("C")
        if covariance is None or attribute(covariance, "mode", "manual") != "manual":
            return False
        text = attribute(covariance, "shape").strip("()")
        shape = numbers(text, int, "shape of <C>")
        first = numbers(covariance.text or "", float, "<C>")[: prod(shape[1:])]
        return len(shape) == 3 and _is_of_one_temperature(first)

    @property
    def _quantum_thermostat(self) -> Element | None:
        thermostat = self._element.find("thermostat")
        every = () if thermostat is None else thermostat.iter("thermostat")
        return next(filter(_is_quantum, every), None)

    def _bath(self, tag: str) -> Bath | None:
        element = self._element.find(tag)
        if element is None or not (mode := attribute(element, "mode")):
            return None
        return Bath(mode, quantity(element, "tau", "time", "femtosecond"))


class Motion:
    """A ``<motion>``: what it says is read when it is asked."""

    def __init__(self, element: Element) -> None:
        self._element = element

    @property
    def mode(self) -> str:
        """What i-PI calls it: ``dynamics``, ``minimize``, ``multi`` and so on."""
        return attribute(self._element, "mode")

    @property
    def dynamics(self) -> Dynamics | None:
        """Its dynamics, where it has some."""
        element = self._element.find("dynamics")
        return None if element is None else Dynamics(element)

    @property
    def stride_fault(self) -> str | None:
        """What i-PI does wrong with the steps at the levels, if it does."""
        found = (self._element.find(tag) for tag in ("dynamics", "driven_dynamics"))
        faults = [Dynamics(element).stride_fault for element in found if element is not None]
        return next(filter(None, faults), None)

    @property
    def uses_energy(self) -> bool:
        """Whether the potential energy decides where it goes."""
        return self.mode in MOTIONS_THAT_USE_THE_ENERGY

    @property
    def fixed_coordinates(self) -> tuple[int, ...]:
        """What stands still: 3 times the index of the atom, plus 0, 1, 2 for x, y, z."""
        atoms = numbers(text_of(self._element, "fixatoms"), int, "<fixatoms>")
        of_atoms = [3 * atom + axis for atom in atoms for axis in range(3)]
        single = numbers(text_of(self._element, "fixatoms_dof"), int, "<fixatoms_dof>")
        return tuple(sorted({*of_atoms, *single}))

    @property
    def fixes_centre_of_mass(self) -> bool:
        """Whether it does not move.

        Where atoms are fixed i-PI lets it move, whatever the input says, and where none are moved
        it does not look at it.
        """
        asked = truth(text_of(self._element, "fixcom", "true"), "<fixcom>")
        return asked and not self.fixed_coordinates and self.moves_atoms

    @property
    def moves_atoms(self) -> bool:
        """Whether it does so itself."""
        return self.mode not in MOTIONS_OF_NO_ATOMS

    @property
    def needs_virial(self) -> bool:
        """Whether it moves the cell."""
        variable = self.dynamics is not None and self.dynamics.varies_cell
        return variable or self.mode in MOTIONS_THAT_USE_THE_VIRIAL


def _is_quantum(thermostat: Element) -> bool:
    """Whether a generalised Langevin thermostat has a covariance that is not of one temperature."""
    covariance = thermostat.find("C")
    if covariance is None or not attribute(thermostat, "mode").endswith(GENERALISED):
        return False
    if attribute(covariance, "mode", "manual") != "manual":
        return True  # a file, which nobody makes of one temperature
    values = numbers(covariance.text or "", float, "<C>")
    return any(values) and not _is_of_one_temperature(values)


def _is_of_one_temperature(covariance: Sequence[float]) -> bool:
    """Whether all numbers of a covariance that are not zero are the same."""
    given = [c for c in covariance if c != 0.0]
    return bool(given) and max(given) - min(given) <= SAME * max(given)
