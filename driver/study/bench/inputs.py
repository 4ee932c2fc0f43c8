"""Writes the i-PI inputs that are compared, all made from one."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ...errors import InputError
from ...ipi.input import parse_parameters, read_input

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["MODES", "Base", "Setup"]

MODES = ("conservative", "direct", "mts")
ENDLESS = 10**9


@dataclass(frozen=True)
class Setup:
    """One simulation: ``mode`` (one of MODES), number of beads and of atoms."""

    mode: str
    beads: int
    atoms: int


class Base:
    """The input from which all others are made.

    Args:
        path: an i-PI input with a direct and a conservative ``<ffsocket>`` of one model; ``None``
            for liquid water with the model that ships.
        stride: inner steps in an outer step, ``None`` for the input's.

    Attributes:
        model: as the input names it.
        structure: of the input's template.
        stride: inner steps in an outer step.
        beads: of the input.

    Raises:
        InputError: if it is no such input.
    """

    def __init__(self, path: Path | None, stride: int | None) -> None:
        from ase.io import read

        path = path or Path(str(files("halfkick.ipi_inputs"))) / "water_nve_mts" / "input.xml"
        source = read_input(path)
        self._root = ElementTree.parse(path).getroot()
        found = {e.parameters.get("role"): e.parameters for e in source.endpoints if e.parameters}
        if len({parameters.get("model") for parameters in found.values()}) != 1 or len(found) < 2:
            raise InputError(
                f"expected a direct and a conservative <ffsocket> of one model in '{path}', got "
                f"{', '.join(map(str, found)) or 'none'}; begin from the scenario water_nve_mts"
            )
        self.model = found["direct"]["model"]
        if (path.parent / self.model).is_file():
            self.model = str((path.parent / self.model).resolve())
        self.structure: Atoms = read(path.parent / found["direct"]["template"])
        self.beads = source.replicas
        self._own_stride = source.inner_steps
        self.stride = stride or source.inner_steps

    def write(self, folder: Path, setup: Setup, model: str | None) -> Path:
        """Write ``input.xml`` and ``init.xyz`` of one simulation.

        Args:
            folder: where to; it names the sockets, too.
            setup: which simulation.
            model: what serves it: a model of halfkick's ``<ffsocket>``; ``metatomic FILE`` or
                ``dummy`` make it an ``<ffdirect>``.
        """
        import ase.io

        root = copy.deepcopy(self._root)
        root.attrib |= {"verbosity": "quiet", "sockets_prefix": f"{folder}/"}
        root.set("safe_stride", str(ENDLESS))
        _put(root, "total_steps", str(ENDLESS))
        for output in root.findall("output"):
            root.remove(output)
        self._levels(root, setup)
        for field in root.findall("ffsocket"):
            role = parse_parameters(field.findtext("parameters"))["role"]
            if setup.mode in ("mts", role):
                _serve(field, role, model or self.model, setup.beads)
            else:
                root.remove(field)
                _without_forces(root, field.get("name"))
        for initialize in root.iter("initialize"):
            initialize.set("nbeads", str(setup.beads))
            for file in initialize.findall("file"):
                file.attrib.clear()
                file.set("mode", "ase")
                file.text = " init.xyz "
        ase.io.write(folder / "init.xyz", repeated(self.structure, setup.atoms))
        path = folder / "input.xml"
        ElementTree.ElementTree(root).write(path)
        return path

    def _levels(self, root: ElementTree.Element, setup: Setup) -> None:
        """Set stride and timestep; the inner step stays as it is."""
        for dynamics in root.iter("dynamics"):
            timestep = dynamics.find("timestep")
            inner = float(timestep.text) / self._own_stride
            levels = dynamics.find("nmts")
            if setup.mode == "mts":
                timestep.text = f" {inner * self.stride} "
                levels.text = f" [1, {self.stride}] "
            else:
                timestep.text = f" {inner} "
                dynamics.remove(levels)
        if setup.mode != "mts":
            for force in root.iter("force"):
                for weights in force.findall("mts_weights"):
                    force.remove(weights)


def _serve(field: ElementTree.Element, role: str, model: str, beads: int) -> None:
    """Say what serves this force field."""
    _put(field, "batch_size", str(beads))
    parameters = field.find("parameters")
    kind, _, file = model.partition(" ")
    if kind not in ("metatomic", "dummy"):
        field.set("mode", "unix")
        _put(field, "address", role)
        parameters.text = f" {{model: {model}, role: {role}, template: init.xyz}} "
        return
    field.tag = "ffdirect"
    field.attrib.pop("mode", None)
    for child in list(field):
        if child.tag not in ("parameters", "batch_size"):
            field.remove(child)
    _put(field, "pes", kind)
    direct = ", non_conservative: True" if role == "direct" else ""
    given = f"template: init.xyz, model: {file}{direct}" if file else ""
    parameters.text = f" {{ {given} }} "


def _without_forces(root: ElementTree.Element, name: str) -> None:
    for forces in root.iter("forces"):
        for force in forces.findall("force"):
            if force.get("forcefield") == name:
                forces.remove(force)


def _put(parent: ElementTree.Element, tag: str, text: str) -> None:
    child = parent.find(tag)
    if child is None:
        child = ElementTree.SubElement(parent, tag)
    child.text = f" {text} "


def repeated(structure: Atoms, n_atoms: int) -> Atoms:
    """Repeat a structure to ``n_atoms``, as close to a cube as it can be; InputError if not."""
    times, rest = divmod(n_atoms, len(structure))
    if rest or not times:
        raise InputError(
            f"expected atoms in multiples of {len(structure)}, the template's, got {n_atoms}"
        )
    splits = [
        (a, b, times // a // b)
        for a in range(1, times + 1)
        for b in range(1, times // a + 1)
        if times % (a * b) == 0
    ]
    best = min(splits, key=lambda split: (structure.cell.lengths() * split).max())
    return structure.repeat(best)
