"""The force on a system as a sum of force fields, and whether all of it has an energy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from .elements import attribute, number, numbers, text_of, whole_number
from .sockets import Socket

__all__ = ["Force", "force_field_without_energy", "read_forces"]

ROUNDING = 1e-9  # of weights that cancel


@dataclass(frozen=True)
class Force:
    """One ``<force>``.

    Attributes:
        forcefield: name of the force field.
        weight: of all of it.
        mts_weights: at each level of multiple time stepping, the outermost first.
        beads: on which it is evaluated; 0 for all of them.
    """

    forcefield: str
    weight: float = 1.0
    mts_weights: tuple[float, ...] = (1.0,)
    beads: int = 0

    @property
    def total_weight(self) -> float:
        """Its part in the potential energy."""
        return self.weight * sum(self.mts_weights)


def read_forces(system: Element) -> list[Force]:
    """The forces on a ``<system>``, without those of a bias."""
    return [
        Force(
            attribute(force, "forcefield"),
            number(attribute(force, "weight", "1"), "weight of <force>"),
            numbers(text_of(force, "mts_weights", "[1]"), float, "<mts_weights>"),
            whole_number(attribute(force, "nbeads", "0"), "nbeads of <force>"),
        )
        for force in system.iterfind("forces/force")
    ]


def force_field_without_energy(
    sockets: Sequence[Socket], systems: Iterable[tuple[int, Sequence[Force]]]
) -> str | None:
    """Name of a force field of direct forces whose energy i-PI's potential lacks, if there is one.

    Without that energy i-PI's conserved quantity is none. No energy goes with direct forces unless
    their parameters say ``energy: model``. With multiple time stepping none is needed, since what
    is added in one level is taken away in another. Where they act alone, or on more beads than
    they are corrected on, it is.

    Args:
        sockets: of the input.
        systems: beads and forces of each system.
    """
    silent = {
        socket.forcefield
        for socket in sockets
        if (known := socket.parameters or {}).get("role") == "direct"
        and known.get("energy") != "model"
    }
    for beads, forces in systems:
        sums: dict[tuple[str, int], float] = defaultdict(float)
        for force in forces:
            sums[force.forcefield, force.beads or beads] += force.total_weight
        for (name, _), total in sums.items():
            if name in silent and abs(total) > ROUNDING:
                return name
    return None
