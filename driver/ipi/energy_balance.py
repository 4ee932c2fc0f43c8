"""Whether i-PI's conserved quantity is one: it is not where the energy of a force is missing."""

from __future__ import annotations

from collections import defaultdict
from xml.etree import ElementTree

from .input import parse_parameters

__all__ = ["without_energy"]


def without_energy(root: ElementTree.Element) -> str | None:
    """Name of a force field of direct forces whose energy i-PI's potential lacks, if there is one.

    No energy goes with direct forces unless their parameters say ``energy: model``. With multiple
    time stepping none is needed, since what is added in one level is taken away in another. Where
    they act alone, or on more beads than they are corrected on, it is.
    """
    silent = set()
    for element in root.iter("ffsocket"):
        parameters = parse_parameters(element.findtext("parameters") or "")
        if parameters.get("role") == "direct" and parameters.get("energy") != "model":
            silent.add((element.get("name") or "").strip())
    for system in root.iter("system"):
        sums: dict[tuple[str, str], float] = defaultdict(float)
        whole = {
            e.get("nbeads", "1").strip()
            for e in (*system.iter("initialize"), *system.iter("beads"))
        }
        for force in system.iterfind("forces/force"):
            text = (force.findtext("mts_weights") or "1").strip(" []\n\t").replace(",", " ")
            factor = float(force.findtext("weight") or 1.0)
            beads = (force.get("nbeads") or "0").strip()
            key = (force.get("forcefield") or "").strip(), "0" if beads in whole else beads
            sums[key] += factor * sum(map(float, text.split()))
        for (name, _), total in sums.items():
            if name in silent and abs(total) > 1e-9:
                return name
    return None
