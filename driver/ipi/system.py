"""A system of an input: its beads, forces, conditions, and how its atoms move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .elements import attribute, numbers, quantity, strings, text_of, whole_number
from .forces import Force, read_forces
from .motion import Dynamics, Ensemble, Motion
from .start import StartAtoms, count_atoms, masses_in_input, read_start

__all__ = ["Initial", "System", "read_systems"]

DEFAULT_MODES = {"cell": "manual", "gle": "manual"}
"""Of the children of ``<initialize>``; the others begin from a checkpoint."""


@dataclass(frozen=True)
class Initial:
    """A child of ``<initialize>``: where a part of the start comes from.

    Attributes:
        tag: ``file``, ``positions``, ``cell`` and so on.
        mode: ``ase``, ``xyz``, ``chk``, ``manual`` and so on.
        value: the name of a file, or numbers.
        units: as i-PI calls them; empty for its choice.
        is_partial: whether it is of one atom or bead alone.
    """

    tag: str
    mode: str
    value: str
    units: str = ""
    is_partial: bool = False

    @property
    def names_file(self) -> bool:
        """Whether its value is the name of a file."""
        return self.mode in ("ase", "xyz", "pdb", "chk")


class System:
    """A ``<system>``: what it says is read when it is asked; without one nothing is known."""

    def __init__(self, element: Element | None = None) -> None:
        self._element = Element("system") if element is None else element

    @property
    def prefix(self) -> str:
        """What its output files begin with; empty where there is one system."""
        return attribute(self._element, "prefix")

    @cached_property
    def beads(self) -> int:
        """Beads of its ring polymers; ``<initialize>`` counts where there is one, as in i-PI."""
        for tag in ("initialize", "beads"):
            element = self._element.find(tag)
            if element is not None:
                return whole_number(attribute(element, "nbeads", "1"), f"nbeads of <{tag}>")
        return 1

    @property
    def initials(self) -> list[Initial]:
        """What ``<initialize>`` begins from, in i-PI's order."""
        return [
            Initial(
                child.tag,
                attribute(child, "mode", DEFAULT_MODES.get(child.tag, "chk")),
                (child.text or "").strip(),
                attribute(child, "units"),
                any(int(attribute(child, key, "-1")) >= 0 for key in ("index", "bead")),
            )
            for child in self._element.iterfind("initialize/*")
        ]

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the atoms where the state itself stands in the input, as in a RESTART."""
        return tuple(strings(text_of(self._element, "beads/names")))

    @property
    def cell(self) -> tuple[float, ...]:
        """Its cell there, vectors in columns, row by row, in the input's unit; empty without."""
        return numbers(text_of(self._element, "cell"), float, "<cell>")

    @property
    def files(self) -> list[str]:
        """The files that i-PI reads, as they are named; patterns of names are left out."""
        read = [e for e in self._element.iter() if attribute(e, "mode") == "file"]
        read += self._element.iterfind(".//motion/file")
        named = [(element.text or "").strip() for element in read]
        named += [initial.value for initial in self.initials if initial.names_file]
        return [name for name in named if name and not set("?*[]") & set(name)]

    @property
    def force_fields(self) -> list[str]:
        """Names of all force fields that act on it, those of a bias included."""
        return [
            attribute(force, "forcefield")
            for path in ("forces/force", "ensemble/bias/force")
            for force in self._element.iterfind(path)
        ]

    @property
    def start_file(self) -> tuple[str, str] | None:
        """The file it begins from, and i-PI's mode of reading it; ``None`` if there is none."""
        files = ((i.value, i.mode) for i in self.initials if i.tag == "file" and i.value)
        return next(files, None)

    @cached_property
    def forces(self) -> list[Force]:
        """What makes up the force on it."""
        return read_forces(self._element)

    @cached_property
    def motions(self) -> list[Motion]:
        """How its atoms move: what is inside of a ``multi`` motion follows it."""
        return [Motion(element) for element in self._element.iter("motion")]

    @property
    def dynamics(self) -> Dynamics | None:
        """The first of its motions that is dynamics."""
        return next((m.dynamics for m in self.motions if m.dynamics is not None), None)

    @property
    def ensemble(self) -> Ensemble:
        """Its conditions; those of constant energy where atoms do not move by dynamics."""
        dynamics = self.dynamics
        temperature = quantity(self._element, "ensemble/temperature", "temperature", "kelvin")
        return Ensemble(
            "nve" if dynamics is None else dynamics.mode,
            temperature if temperature is not None and temperature >= 0.0 else None,
            quantity(self._element, "ensemble/pressure", "pressure", "megapascal"),
            None if dynamics is None else dynamics.thermostat,
            None if dynamics is None else dynamics.barostat,
        )

    @property
    def _movers(self) -> list[Motion]:
        return [motion for motion in self.motions if motion.moves_atoms]

    @property
    def fixed_coordinates(self) -> tuple[int, ...]:
        """What stands still in all motions that move atoms; see :class:`Motion`."""
        fixed = [set(motion.fixed_coordinates) for motion in self._movers]
        return tuple(sorted(set.intersection(*fixed))) if fixed else ()

    @property
    def fixes_centre_of_mass(self) -> bool:
        """Whether no motion moves it."""
        return all(motion.fixes_centre_of_mass for motion in self._movers)

    def degrees_of_freedom(self, masses_amu: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each atom of a classical system, shape (N,), as i-PI counts them.

        What is fixed is none. Of the three that a centre of mass at rest takes, an atom bears its
        share by mass. Held centroids leave none.

        Args:
            masses_amu: shape (N,).
        """
        if self.dynamics is not None and self.dynamics.holds_centroids:
            return np.zeros(len(masses_amu))
        free = np.ones(3 * len(masses_amu))
        free[list(self.fixed_coordinates)] = 0.0
        of_atoms: NDArray[np.float64] = free.reshape(-1, 3).sum(axis=1)
        if self.fixes_centre_of_mass:
            of_atoms = of_atoms - 3.0 * masses_amu / masses_amu.sum()
        return of_atoms

    @property
    def ramps_temperature(self) -> bool:
        """Whether a motion changes the temperature of its ensemble."""
        return any(motion.mode == "t_ramp" for motion in self.motions)

    @property
    def conserved_remark(self) -> str:
        """Why the conserved quantity is not conserved, whatever the forces; empty if it is."""
        barostat = None if self.dynamics is None else self.dynamics.barostat
        if barostat is None or self.dynamics is None or not self.dynamics.varies_cell:
            return ""
        return barostat.conserved_remark

    @property
    def temperature_remark(self) -> str:
        """Why the temperature is not the target's in the mean; empty if it is."""
        if self.quantum_thermostat is None:
            return ""
        check = "compare kinetic energies of species, kinetic_cv(H)"
        if self.dynamics is not None and self.dynamics.holds_centroid_temperature:
            check = "that of centroids, temperature(nm=0), is"
        own = f"'{self.quantum_thermostat}' has a covariance C of its own"
        return f"not the target's: {own}; {check}"

    @property
    def quantum_thermostat(self) -> str | None:
        """Mode of a thermostat that gives other kinetic energies than the temperature's."""
        return None if self.dynamics is None else self.dynamics.quantum_thermostat

    def count_atoms(self, folder: Path) -> int | None:
        """How many it starts with, its files named from a folder; ``None`` if none can be read."""
        return count_atoms(self._element, folder)

    @property
    def masses_in_input(self) -> NDArray[np.float64] | None:
        """Masses that stand in the input itself, shape (N,), amu; ``None`` if none do."""
        return masses_in_input(self._element)

    def read_start(self, folder: Path) -> StartAtoms | None:
        """Labels and masses, its files named from a folder; ``None`` if they cannot be read."""
        return read_start(self._element, folder)


def read_systems(root: Element) -> list[System]:
    """The systems of a ``<simulation>``; those of a template as i-PI makes them from it.

    Raises:
        InputError: if a template's labels and instances do not fit together.
    """
    return [System(element) for element in _elements(root)]


def _elements(root: Element) -> Iterator[Element]:
    for child in root:
        if child.tag == "system":
            yield child
        elif child.tag == "system_template":
            yield from _instances(child)


def _instances(template: Element) -> Iterator[Element]:
    labels = strings(text_of(template, "labels"))
    system = template.find("template/system")
    if system is None:
        raise InputError("expected a <system> in the <template> of <system_template>, got none")
    text = ElementTree.tostring(system, encoding="unicode")
    for instance in template.iterfind("instance"):
        values = strings(instance.text or "")
        if len(values) != len(labels):
            raise InputError(
                f"expected {len(labels)} values in <instance>, one for each of <labels>, "
                f"got {len(values)}"
            )
        filled = text
        for label, value in sorted(zip(labels, values, strict=True), reverse=True):
            filled = filled.replace(label, value)  # as i-PI does, 'string1' before 'string'
        yield ElementTree.fromstring(filled)
