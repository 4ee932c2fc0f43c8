"""What the i-PI XML says that concerns a driver: where i-PI listens, and for which force fields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from xml.etree import ElementTree

from ..errors import InputError

__all__ = [
    "Address",
    "Endpoint",
    "Input",
    "collect",
    "parse_parameters",
    "read_input",
]

DEFAULT_PREFIX = "/tmp/ipi_"
MAX_CONNECTIONS = 64


@dataclass(frozen=True)
class Address:
    """Where one i-PI force field listens.

    Attributes:
        mode: ``unix``, ``inet`` or ``shm``.
        host: socket name for ``unix`` and ``shm``, host for ``inet``.
        port: port for ``inet``.
        prefix: i-PI's ``sockets_prefix``, for ``unix`` and ``shm``.
    """

    mode: str
    host: str
    port: int = 0
    prefix: str = DEFAULT_PREFIX

    @property
    def path(self) -> str:
        """The socket file of a ``unix`` or ``shm`` address."""
        return self.prefix + self.host

    def __str__(self) -> str:
        return (
            f"inet {self.host}:{self.port}" if self.mode == "inet" else f"{self.mode} {self.path}"
        )


@dataclass(frozen=True)
class Endpoint:
    """One ``<ffsocket>``: an address, how many connections to open, and its parameters if known.

    Attributes:
        parameters: from the XML, so that mistakes show before i-PI starts; what i-PI sends with
            INIT is what counts. ``None`` without an XML.
        timeout_s: how long i-PI waits for an answer; 0 for ever.
    """

    address: Address
    name: str = ""
    connections: int = 1
    parameters: dict[str, str] | None = None
    timeout_s: float = 0.0


@dataclass(frozen=True)
class Input:
    """An i-PI input file, as far as it concerns halfkick.

    Attributes:
        endpoints: one for each ``<ffsocket>``.
        needs_virial: whether the ensemble uses the virial (a barostat or a cell optimiser).
        shows_virial: whether anything else may use it, such as an output of the pressure.
        inner_steps: evaluations of the fastest force in an outer step; 1 without levels.
        replicas: beads of all systems.
        is_dynamics: whether atoms move by nothing but dynamics, from where they are.
    """

    endpoints: list[Endpoint] = field(default_factory=list)
    needs_virial: bool = False
    shows_virial: bool = True
    inner_steps: int = 1
    replicas: int = 1
    is_dynamics: bool = False


def parse_parameters(text: str) -> dict[str, str]:
    """Read ``{key: value, ...}`` as it stands in the XML, or ``key : value , ...`` from INIT."""
    items = (item for item in text.strip().strip("{}").split(",") if item.strip())
    parameters = {}
    for item in items:
        key, colon, value = item.partition(":")
        if not colon:
            raise InputError(f"expected 'key: value' in <parameters>, got '{item.strip()}'")
        parameters[key.strip()] = value.strip()
    return parameters


def read_input(path: Path) -> Input:
    """Read an i-PI input (or RESTART) file.

    Raises:
        InputError: if the file is missing, is no i-PI XML, or has no ``<ffsocket>``.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise InputError(
            f"expected an i-PI input file, cannot read '{path}': {error.strerror}"
        ) from error
    except ElementTree.ParseError as error:
        raise InputError(f"expected i-PI XML, '{path}' cannot be parsed: {error}") from error
    if root.tag != "simulation":
        raise InputError(f"expected <simulation> in '{path}', got <{root.tag}>")
    prefix = root.get("sockets_prefix", DEFAULT_PREFIX).strip()
    beads = _total_beads(root)
    endpoints = [_endpoint(element, prefix, beads) for element in root.iter("ffsocket")]
    if not endpoints:
        raise InputError(
            f"expected at least one <ffsocket> in '{path}', got none; "
            f"halfkick serves force fields of that kind"
        )
    return Input(
        endpoints,
        needs_virial=any(_needs_virial(motion) for motion in root.iter("motion")),
        shows_virial=_shows_virial(root),
        inner_steps=_inner_steps(root),
        replicas=beads,
        is_dynamics=_motions(root) in ({"dynamics"}, {"dynamics", "multi"}),
    )


def _endpoint(element: ElementTree.Element, prefix: str, beads: int) -> Endpoint:
    name = element.get("name", "").strip()
    mode = element.get("mode", "inet").strip()
    host = _text(element, "address", "localhost")
    if mode not in ("unix", "inet", "shm"):
        raise InputError(
            f"expected mode unix, inet or shm in <ffsocket name='{name}'>, got '{mode}'"
        )
    try:
        port = int(_text(element, "port", "65535"))
        batch_size = int(_text(element, "batch_size", "1"))
        timeout_s = float(_text(element, "timeout", "0"))
    except ValueError as error:
        raise InputError(f"expected numbers in <ffsocket name='{name}'>: {error}") from error
    return Endpoint(
        Address("inet", host, port) if mode == "inet" else Address(mode, host, 0, prefix),
        name,
        1 if batch_size > 1 else min(beads, MAX_CONNECTIONS),
        parse_parameters(_text(element, "parameters", "{}")),
        timeout_s,
    )


def _text(element: ElementTree.Element, tag: str, default: str) -> str:
    return (element.findtext(tag) or default).strip()


def _total_beads(root: ElementTree.Element) -> int:
    """How many replicas i-PI may ask for at once: beads of all systems."""

    def counts() -> Iterator[int]:
        for system in root.iter("system"):
            sources = [*system.iter("initialize"), *system.iter("beads")]
            values = [int(s.get("nbeads", "1")) for s in sources if s.get("nbeads", "1").isdigit()]
            yield max(values, default=1)

    return max(sum(counts()), 1)


def _inner_steps(root: ElementTree.Element) -> int:
    levels = (root.findtext(".//dynamics/nmts") or "").strip(" []\n\t")
    try:
        return prod(int(level) for level in levels.split(",")) if levels else 1
    except ValueError:
        raise InputError(f"expected <nmts> [1, M], got '[{levels}]'") from None


def _shows_virial(root: ElementTree.Element) -> bool:
    """Whether the virial may show: in an output, or in a motion of which that is not known."""
    outputs = " ".join(element.text or "" for element in root.iterfind("output/*"))
    known = {"dynamics", "minimize", "replay", "dummy", "multi"}
    return not _motions(root) <= known or bool(re.search("vir|press|stress", outputs))


def _motions(root: ElementTree.Element) -> set[str]:
    return {motion.get("mode", "").strip() for motion in root.iter("motion")}


def _needs_virial(motion: ElementTree.Element) -> bool:
    for dynamics in motion.iter("dynamics"):
        if dynamics.get("mode", "nve").strip() in ("npt", "nst", "scnpt"):
            return True
    return motion.get("mode", "").strip() in ("cellopt", "al-kmc")


def collect(
    source: Input,
    addresses: dict[str, list[str]],
    prefix: str | None,
    connections: int | None,
) -> list[Endpoint]:
    """All endpoints to serve: those of the XML that name a model, and those of the command line.

    Args:
        source: the XML's, possibly empty.
        addresses: mode -> names (``unix``, ``shm``) or ``HOST:PORT`` (``inet``).
        prefix: replaces i-PI's ``sockets_prefix``.
        connections: how many to each address, instead of what the XML needs.

    Raises:
        InputError: if an address is malformed or nothing is left to serve.
    """
    served = [e for e in source.endpoints if e.parameters is None or "model" in e.parameters]
    if source.endpoints and not served and not any(addresses.values()):
        raise InputError(
            "expected 'model' in the <parameters> of at least one <ffsocket>, got none; "
            "write {model: water, role: direct, template: init.xyz}"
        )
    for mode, names in addresses.items():
        served += [Endpoint(_address(mode, name)) for name in names]
    if prefix is not None:
        served = [replace(e, address=replace(e.address, prefix=prefix)) for e in served]
    if connections is not None:
        served = [replace(e, connections=connections) for e in served]
    return served


def _address(mode: str, name: str) -> Address:
    if mode != "inet":
        return Address(mode, name)
    host, colon, port = name.rpartition(":")
    if not colon or not port.isdigit():
        raise InputError(f"expected --inet HOST:PORT, got '{name}'")
    return Address("inet", host or "localhost", int(port))
