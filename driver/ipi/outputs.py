"""The outputs that an input asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, SubElement

from .elements import attribute, strings, whole_number

__all__ = ["Output", "Outputs", "of_ring_polymers"]

NAMES = {"properties": "out", "trajectory": "traj", "checkpoint": "restart"}
"""Kinds of output, and how i-PI calls a file of each where the input does not."""

UNIT = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True)
class Output:
    """One file that an input asks for, or one for each system and bead.

    Attributes:
        kind: ``properties``, ``trajectory`` or ``checkpoint``.
        filename: without prefixes, bead and format.
        stride: outer steps from one row or frame to the next.
        what: properties or trajectory, with units, as in the input.
        attributes: all others, as in the input.
    """

    kind: str
    filename: str
    stride: int = 1
    what: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, element: Element) -> Output:
        """Read a child of ``<output>``."""
        kind = element.tag
        stride = whole_number(attribute(element, "stride", "1"), f"stride of <{kind}>")
        others = {k: v for k, v in element.attrib.items() if k not in ("filename", "stride")}
        filename = element.get("filename", NAMES[kind]).strip()
        return cls(kind, filename, stride, (element.text or "").strip(), others)

    @property
    def quantities(self) -> list[str]:
        """Names of what it holds, without units."""
        return [UNIT.sub("", item) for item in strings(self.what)]


@dataclass(frozen=True)
class Outputs:
    """The ``<output>`` of an input.

    Attributes:
        prefix: of all files.
        items: the files.
    """

    prefix: str = "i-pi"
    items: Sequence[Output] = ()

    @classmethod
    def read(cls, root: Element) -> Outputs:
        """Read those of a ``<simulation>``; i-PI's own where it names none."""
        element = root.find("output")
        if element is None:
            return DEFAULT_OUTPUTS
        prefix = element.get("prefix", "i-pi").strip()
        return cls(prefix, [Output.read(child) for child in element if child.tag in NAMES])

    def element(self) -> Element:
        """The ``<output>`` that asks for them."""
        element = Element("output", prefix=self.prefix)
        for item in self.items:
            child = SubElement(element, item.kind, filename=item.filename, stride=str(item.stride))
            child.attrib.update(item.attributes)
            child.text = f" {item.what} " if item.what else None
        return element

    def of_kind(self, *kinds: str) -> list[Output]:
        """Those of these kinds, or all."""
        return [item for item in self.items if not kinds or item.kind in kinds]


def of_ring_polymers(species: Sequence[str]) -> str:
    """Properties that tell kinetic energies and radii of gyration of species."""
    kinetic = (f"kinetic_cv({label}){{electronvolt}}" for label in species)
    radii = (f"r_gyration({label}){{angstrom}}" for label in species)
    return ", ".join((*kinetic, *radii))


DEFAULT_OUTPUTS = Outputs(
    "i-pi",
    (
        Output(
            "properties", "md", 10, "[ time, step, conserved, temperature, potential, kinetic_cv ]"
        ),
        Output("trajectory", "pos", 100, "positions"),
        Output("checkpoint", "checkpoint", 1000),
    ),
)
"""What i-PI writes where an input does not say."""
