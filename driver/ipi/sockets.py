"""The sockets of an input: where i-PI listens, for which force fields, with which parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree.ElementTree import Element
from zlib import crc32

from ..errors import InputError
from .elements import attribute, strings, text_of, truth
from .transport import DEFAULT_PREFIX, TRANSPORTS, Address

__all__ = [
    "Socket",
    "format_parameters",
    "own_name",
    "own_prefix",
    "parse_parameters",
    "read_sockets",
    "served_sockets",
    "socket_elements",
]

TAGS = ("ffsocket", "ffcavphsocket")
MAX_CONNECTIONS = 64


@dataclass(frozen=True)
class Socket:
    """One ``<ffsocket>``: an address, how many connections to open, and its parameters if known.

    Attributes:
        parameters: from the XML, so that mistakes show before i-PI starts; what i-PI sends with
            INIT is what counts. ``None`` without an XML.
        timeout_s: how long i-PI waits for an answer; 0 for ever.
        wrapper: name of the ``<ffrotations>`` or ``<ffcommittee>`` around it, if there is one.
        wraps: whether i-PI puts the atoms into the cell before it sends them.
        active: indices of the atoms it is for; empty for all.
        photons: whether the last particles are photons, which i-PI keeps to itself.
    """

    address: Address
    name: str = ""
    connections: int = 1
    parameters: dict[str, str] | None = None
    timeout_s: float = 0.0
    wrapper: str = ""
    wraps: bool = False
    active: tuple[int, ...] = ()
    photons: bool = False

    @property
    def forcefield(self) -> str:
        """What the ``<force>`` elements call it."""
        return self.wrapper or self.name


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


def format_parameters(parameters: Mapping[str, str]) -> str:
    """Write ``{key: value, ...}`` as i-PI reads it."""
    return f"{{{', '.join(f'{key}: {value}' for key, value in parameters.items())}}}"


def socket_elements(root: Element) -> Iterator[tuple[Element, str]]:
    """Each socket's element in ``<simulation>``, and the name of what is around it, if anything."""
    for field in root:
        for element in field.iter():
            if element.tag in TAGS:
                yield element, "" if element is field else attribute(field, "name")


def read_sockets(root: Element, replicas: int) -> list[Socket]:
    """The sockets of a ``<simulation>``.

    Args:
        root: that element.
        replicas: that i-PI may ask for at once.

    Raises:
        InputError: if one cannot be understood.
    """
    prefix = attribute(root, "sockets_prefix", DEFAULT_PREFIX)
    return [
        # i-PI gives its prefix to the sockets on top alone
        _socket(element, DEFAULT_PREFIX if wrapper else prefix, replicas, wrapper)
        for element, wrapper in socket_elements(root)
    ]


def _socket(element: Element, prefix: str, replicas: int, wrapper: str) -> Socket:
    name = attribute(element, "name")
    where = f"<{element.tag} name='{name}'>"
    mode = attribute(element, "mode", "inet")
    if mode not in TRANSPORTS:
        *most, last = TRANSPORTS
        raise InputError(f"expected mode {', '.join(most)} or {last} in {where}, got '{mode}'")
    try:
        active = tuple(map(int, strings(text_of(element, "activelist", "[-1]"))))
        port = int(text_of(element, "port", "65535"))
        batch_size = int(text_of(element, "batch_size", "1"))
        timeout_s = float(text_of(element, "timeout", "0"))
    except ValueError as error:
        raise InputError(f"expected numbers in {where}: {error}") from error
    return Socket(
        TRANSPORTS[mode].address(text_of(element, "address", "localhost"), port, prefix),
        name,
        1 if batch_size > 1 else min(replicas, MAX_CONNECTIONS),
        parse_parameters(text_of(element, "parameters")),
        timeout_s,
        wrapper,
        truth(attribute(element, "pbc", "false"), f"pbc of {where}"),
        () if active[:1] == (-1,) else active,
        element.tag == "ffcavphsocket",
    )


def served_sockets(
    sockets: Sequence[Socket],
    addresses: Sequence[Address],
    prefix: str | None,
    connections: int | None,
) -> list[Socket]:
    """All sockets to serve: those of the XML that name a model, and those of the command line.

    Args:
        sockets: the XML's, if there is one.
        addresses: those of the command line.
        prefix: replaces i-PI's ``sockets_prefix``.
        connections: how many to each address, instead of what the XML needs.

    Raises:
        InputError: if nothing is left to serve.
    """
    served = [s for s in sockets if s.parameters is None or "model" in s.parameters]
    if sockets and not served and not addresses:
        raise InputError(
            "expected 'model' in the <parameters> of at least one <ffsocket>, got none; "
            "write {model: water, role: direct, template: init.xyz}"
        )
    served += [Socket(address) for address in addresses]
    if prefix is not None:
        served = [
            s if s.wrapper else replace(s, address=replace(s.address, prefix=prefix))
            for s in served
        ]
    if connections is not None:
        served = [replace(s, connections=connections) for s in served]
    return served


def own_prefix(folder: Path) -> str:
    """A ``sockets_prefix`` for runs in a folder: nobody else's, and the same each time."""
    return f"/tmp/{own_name(folder)}_"


def own_name(folder: Path) -> str:
    """A word for a folder: no other folder's, and the same each time."""
    return f"hk_{crc32(str(folder.resolve()).encode()):08x}"
