"""The force fields of an input as they stand, and the changes that have halfkick serve them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from ..errors import InputError
from .elements import attribute, put, remove, text_of, whole_number, written
from .sockets import format_parameters, parse_parameters

__all__ = ["ForceFieldElement", "add_direct", "read_force_fields", "serve", "set_correction"]

LATENCY, TIMEOUT = "1e-4", "120"  # s, as in the scenarios
DEFAULT_PORT = 65535


@dataclass(frozen=True)
class ForceFieldElement:
    """One force field of an input, whoever computes it.

    Attributes:
        kind: its tag: ``ffsocket``, ``ffdirect``, ``ffplumed`` and so on.
        name: what the ``<force>`` elements call it, or the one around it.
        pes: which of i-PI's own potentials an ``<ffdirect>`` is.
        parameters: of the potential or driver.
        wrapper: name of the force field around it, if there is one.
        part: whether it sees some of the atoms alone.
    """

    kind: str
    name: str
    pes: str
    parameters: Mapping[str, str]
    wrapper: str
    part: bool


def read_force_fields(root: Element) -> list[ForceFieldElement]:
    """All force fields of a ``<simulation>``, those inside of others after what is around them."""
    return [
        ForceFieldElement(
            element.tag,
            attribute(element, "name"),
            text_of(element, "pes"),
            parse_parameters(text_of(element, "parameters")),
            wrapper,
            element.find("activelist") is not None,
        )
        for element, wrapper in _elements(root)
    ]


def serve(root: Element, name: str, parameters: Mapping[str, str], address: str) -> None:
    """Have one force field served over a socket, with these parameters.

    An ``<ffdirect>`` becomes an ``<ffsocket>``; one that is there stays where it listens.
    """
    element = _find(root, name)
    if element.tag == "ffdirect":
        element.tag = "ffsocket"
        element.attrib.pop("threaded", None)  # a socket always is
        element.set("mode", "unix")
        remove(element, "pes", "pes_path")
        for tag, text in (("address", address), ("latency", LATENCY), ("timeout", TIMEOUT)):
            if element.find(tag) is None:
                put(element, tag, text)
        remove(element, "parameters")  # the last of them, as in the scenarios
    put(element, "parameters", format_parameters(parameters))


def add_direct(
    root: Element, name: str, direct: str, parameters: Mapping[str, str], address: str
) -> None:
    """Put direct forces inside of one socket's, which then corrects them at the outer level."""
    element = _find(root, name)
    inner = copy.deepcopy(element)
    inner.set("name", direct)
    if attribute(element, "mode", "inet") == "inet":
        port = whole_number(text_of(element, "port", str(DEFAULT_PORT)), "<port>")
        put(inner, "port", str(port + 1 if port < DEFAULT_PORT else port - 1))
    else:
        put(inner, "address", address)
    remove(inner, "offset")  # of the conservative energy
    put(inner, "parameters", format_parameters(parameters))
    root.insert(list(root).index(element) + 1, inner)
    for forces in root.iter("forces"):
        for force in list(forces):
            if attribute(force, "forcefield") == name:
                fast = copy.deepcopy(force)
                fast.set("forcefield", direct)
                put(force, "mts_weights", written([1, 0])).attrib.clear()
                put(fast, "mts_weights", written([-1, 1])).attrib.clear()
                forces.insert(list(forces).index(force) + 1, fast)


def set_correction(root: Element, direct: str, conservative: str, beads: int | None = None) -> None:
    """Correct direct forces, which act on all beads, by conservative ones at the outer level.

    Args:
        root: the ``<simulation>``; what else acts on its systems stays.
        direct: name of the force field inside.
        conservative: of the one that corrects it.
        beads: on so many, contracted; ``None`` for all.
    """
    on = {} if beads is None else {"nbeads": str(beads)}
    parts = [(conservative, [1, 0], on), (direct, [-1, 0], on), (direct, [0, 1], {})]
    if beads is None:
        parts[1:] = [(direct, [-1, 1], {})]
    for forces in root.iter("forces"):
        for force in list(forces):
            if attribute(force, "forcefield") in (direct, conservative):
                forces.remove(force)
        for field, weights, where in parts:
            force = SubElement(forces, "force", {"forcefield": field} | where)
            put(force, "mts_weights", written(weights))


def _elements(root: Element) -> Iterator[tuple[Element, str]]:
    """Each force field's element, and the name of what is around it, if anything."""
    for field in root:
        for element in field.iter():
            if element.tag.startswith("ff") and element.get("name") is not None:
                yield element, "" if element is field else attribute(field, "name")


def _find(root: Element, name: str) -> Element:
    for element, _ in _elements(root):
        if attribute(element, "name") == name:
            return element
    raise InputError(f"expected a force field called '{name}', got none")
