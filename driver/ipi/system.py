"""A system of an input: its beads, forces, conditions, and how its atoms move."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .elements import attribute, numbers, quantity, strings, text_of, whole_number
from .forces import Force, read_forces
from .motion import Dynamics, Ensemble, Motion
from .units import unit_factor

__all__ = ["System", "read_systems"]


class System:
    """A ``<system>``: what it says is read when it is asked."""

    def __init__(self, element: Element) -> None:
        self._element = element

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
    def start_file(self) -> tuple[str, str] | None:
        """The file it begins from, and i-PI's mode of reading it; ``None`` if there is none."""
        element = self._element.find("initialize/file")
        if element is None or not (name := (element.text or "").strip()):
            return None
        return name, attribute(element, "mode", "chk")

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
    def fixed_coordinates(self) -> tuple[int, ...]:
        """What stands still in all of its motions; see :class:`Motion`."""
        fixed = [set(m.fixed_coordinates) for m in self.motions if m.mode != "multi"]
        return tuple(sorted(set.intersection(*fixed))) if fixed else ()

    @property
    def fixes_centre_of_mass(self) -> bool:
        """Whether no motion moves it."""
        return all(m.fixes_centre_of_mass for m in self.motions if m.mode != "multi")

    @property
    def masses_amu(self) -> NDArray[np.float64] | None:
        """Masses of the atoms, shape (N,), where they stand in the input or in a RESTART.

        ``None`` where i-PI takes them from the structure's file or from its table of elements.
        """
        for path in ("initialize/masses", "beads/m"):
            element = self._element.find(path)
            if element is not None and attribute(element, "mode", "manual") == "manual":
                given = numbers(element.text or "", float, f"<{element.tag}>")
                factor = unit_factor("mass", attribute(element, "units"), "dalton")
                return np.array(given) * factor
        return None


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
