"""i-PI's output files: what an input asks for, their names on disk, and how far they reach."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from .elements import attribute, strings, whole_number

__all__ = ["Output", "Outputs", "Reach", "lacking"]

NAMES = {"properties": "out", "trajectory": "traj", "checkpoint": "restart"}
"""Kinds of output, and how i-PI calls a file of each where the input does not."""

SUFFIXES = ("xyz", "extxyz", "pdb", "json", "bin")
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

    def name(self, item: Output, system: str = "") -> str:
        """What i-PI calls a file, without bead and format.

        Args:
            item: one of them.
            system: prefix of the system; of no matter for a checkpoint.
        """
        name = ".".join(part for part in (self.prefix, item.filename) if part)
        return f"{system}_{name}" if system and item.kind != "checkpoint" else name

    def on_disk(self, item: Output, folder: Path, system: str = "") -> list[Path]:
        """Its files in a folder, bead by bead."""
        ending = {
            "properties": "",
            "trajectory": rf"(?:_(\d+))?(?:\.(?:{'|'.join(SUFFIXES)}))?",
            "checkpoint": r"(?:_(\d+))?",  # one of those that are not overwritten
        }[item.kind]
        pattern = re.compile(re.escape(self.name(item, system)) + ending)
        found = [(m, p) for p in folder.iterdir() if (m := pattern.fullmatch(p.name))]
        found.sort(key=lambda pair: int((pair[0].lastindex and pair[0][1]) or -1))
        return [path for _, path in found]


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


@dataclass(frozen=True)
class Reach:
    """The last step in a file that has every ``stride``-th; ``None`` if it does not tell."""

    last: int | None
    stride: int


def lacking(reach: Mapping[Path, Reach], step: int) -> list[str]:
    """Names of the files that do not reach ``step``."""
    return [
        path.name
        for path, file in reach.items()
        if file.last is not None and file.last < step - step % file.stride
    ]
