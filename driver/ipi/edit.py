"""Variants of an i-PI input: other forces, stride, step, ensemble, seed, length and start."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement
from zlib import crc32

from ...models.base import Role
from ..errors import InputError
from .energy_balance import without_energy
from .input import parse_parameters

__all__ = ["Template", "Variant", "keep_or_write", "prefix_of", "recommended"]

PROPERTIES = (
    "step, time{picosecond}, conserved{electronvolt}, temperature{kelvin}, "
    "potential{electronvolt}, kinetic_md{electronvolt}"
)


@dataclass(frozen=True)
class Variant:
    """What is to be run.

    Attributes:
        forces: ``mts``, or ``conservative`` or ``direct`` for one of the two alone.
        inner_fs: the step of the fast force.
        stride: inner steps in an outer one; 1 unless ``forces`` is ``mts``.
        ensemble: ``nve``, ``svr`` or ``langevin``.
        tau_fs: of the thermostat.
        ps: length.
        seed: of velocities and thermostat.
        every: outer steps between two frames of positions and velocities; 0 writes none.
        gap: whether to write both forces with the frames.
    """

    forces: str
    inner_fs: float
    ps: float
    stride: int = 1
    ensemble: str = "nve"
    tau_fs: float = 100.0
    seed: int = 1
    every: int = 0
    gap: bool = False

    @property
    def steps(self) -> int:
        """Outer steps."""
        return max(1, round(1e3 * self.ps / (self.inner_fs * self.stride)))


class Template:
    """An input with two force fields and two levels of multiple time stepping.

    Args:
        path: i-PI's input.

    Raises:
        InputError: if the input is another kind of calculation.
    """

    def __init__(self, path: Path) -> None:
        self.folder = path.resolve().parent
        try:
            self.root = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError) as error:
            raise InputError(f"expected i-PI XML, '{path}' cannot be read: {error}") from error
        self.fields = self._fields(path)
        text = (self.root.findtext(".//dynamics/nmts") or "").strip(" []\n\t")
        levels = [int(n) for n in text.split(",") if n.strip()]
        if len(levels) != 2 or len(self.root.findall(".//system")) != 1:
            raise InputError(
                f"expected one <system> with <nmts> [1, M] in '{path}', got nmts [{text}]; "
                f"start from the scenario water_nve_mts"
            )
        self.stride = levels[0] * levels[1]
        step = self.root.find(".//dynamics/timestep")
        self.inner_fs = _femtoseconds(step) / self.stride

    def _fields(self, path: Path) -> dict[Role, Element]:
        fields = {}
        for element in self.root.iter("ffsocket"):
            parameters = parse_parameters(element.findtext("parameters") or "{}")
            if parameters.get("role") in set(map(str, Role)):
                fields[Role(parameters["role"])] = element
        if len(fields) != len(Role):
            raise InputError(
                f"expected a direct and a conservative <ffsocket> in '{path}', got "
                f"{', '.join(fields) or 'neither'}; name their roles in <parameters>"
            )
        return fields

    def write(
        self, variant: Variant, folder: Path, *, start: Path | None, species: Sequence[str] = ()
    ) -> Path:
        """Write the variant's input into a folder; which stays untouched if it is there.

        Args:
            variant: what is to be run.
            folder: made if it is not there.
            start: RESTART whose positions and cell to start from, with fresh velocities; ``None``
                to start as the input does.
            species: whose temperatures to write.
        """
        folder.mkdir(parents=True, exist_ok=True)
        root = copy.deepcopy(self.root)
        root.set("floatformat", "%24.16e")
        root.set("safe_stride", "1000000")
        root.set("sockets_prefix", prefix_of(folder))
        _set(root, "total_steps", str(variant.steps))
        _set(root, "prng/seed", str(variant.seed))
        _replace(root, "output", self._output(variant, species))
        self._choose_forces(root, variant)
        self._motion(root.find(".//motion"), variant)
        self._start(root, start)
        return keep_or_write(folder / "input.xml", ElementTree.tostring(root, encoding="unicode"))

    def _output(self, variant: Variant, species: Sequence[str]) -> Element:
        output = Element("output", prefix="out")
        more = "".join(f", temperature({s}){{kelvin}}" for s in species)
        SubElement(
            output, "properties", stride="1", filename="properties"
        ).text = f"[ {PROPERTIES}{more} ]"
        kinds = {"positions": "positions", "velocities": "velocities"} if variant.every else {}
        if variant.gap:
            kinds |= {f"force{k}": f"forces_component_raw({k})" for k in (0, 1)}
        for name, kind in kinds.items():
            SubElement(
                output, "trajectory",
                stride=str(max(variant.every, 1)), filename=name, format="ase", bead="0",
            ).text = kind  # fmt: skip
        return output

    def _choose_forces(self, root: Element, variant: Variant) -> None:
        """Keep the force fields that are used; paths in them become absolute."""
        chosen = list(Role) if variant.forces == "mts" else [Role(variant.forces)]
        names = {role: element.get("name", "").strip() for role, element in self.fields.items()}
        silent = without_energy(self.root)
        for element in root.findall("ffsocket"):
            if element.get("name", "").strip() not in [names[role] for role in chosen]:
                root.remove(element)
                continue
            parameters = parse_parameters(element.findtext("parameters") or "{}")
            for key in ("template", "model"):
                path = self.folder / parameters.get(key, "").partition("?")[0]
                if path.is_file():
                    parameters[key] = str(self.folder / parameters[key])
            alone = variant.forces == "direct" or silent == names[Role.DIRECT]
            if alone and variant.ensemble == "nve" and parameters["role"] == "direct":
                parameters["energy"] = "model"  # twice the price, for a total energy to look at
            text = ", ".join(f"{key}: {value}" for key, value in parameters.items())
            _set(element, "parameters", f"{{{text}}}")
        if variant.forces != "mts":
            forces = Element("forces")
            SubElement(forces, "force", forcefield=names[chosen[0]])
            _replace(root.find("system"), "forces", forces)

    def _motion(self, motion: Element, variant: Variant) -> None:
        dynamics = Element("dynamics", mode="nve" if variant.ensemble == "nve" else "nvt")
        outer = variant.inner_fs * variant.stride
        SubElement(dynamics, "timestep", units="femtosecond").text = f" {outer!r} "
        if variant.forces == "mts":
            SubElement(dynamics, "nmts").text = f" [1, {variant.stride}] "
        if variant.ensemble != "nve":
            thermostat = SubElement(dynamics, "thermostat", mode=variant.ensemble)
            SubElement(thermostat, "tau", units="femtosecond").text = f" {variant.tau_fs!r} "
        _replace(motion, "dynamics", dynamics)

    def _start(self, root: Element, start: Path | None) -> None:
        initialize = root.find(".//system/initialize")
        if initialize is None:
            raise InputError(
                "expected <initialize> in <system>, got none; give an input, not a RESTART"
            )
        for file in initialize.iter("file"):
            path = self.folder / (file.text or "").strip()
            if path.is_file():
                file.text = f" {path} "
        if start is not None:
            velocities = initialize.find("velocities")
            for child in list(initialize):
                initialize.remove(child)
            SubElement(initialize, "file", mode="chk").text = f" {start.resolve()} "
            if velocities is None or velocities.get("mode") != "thermal":
                temperature = root.find(".//ensemble/temperature")
                velocities = Element("velocities", {"mode": "thermal"} | temperature.attrib)
                velocities.text = temperature.text
            initialize.append(velocities)


def keep_or_write(path: Path, text: str) -> Path:
    """Write a file unless it holds that text already."""
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)
    return path


def prefix_of(folder: Path) -> str:
    """Where the sockets of a run in that folder are: nobody else's, and the same each time."""
    return f"/tmp/hk_{crc32(str(folder.resolve()).encode()):08x}_"


def recommended(template: Template, inner_fs: float, stride: int) -> str:
    """The input with another inner step and stride, everything else as it was."""
    root = copy.deepcopy(template.root)
    step = root.find(".//dynamics/timestep")
    step.set("units", "femtosecond")
    step.text = f" {inner_fs * stride:g} "
    root.find(".//dynamics/nmts").text = f" [1, {stride}] "
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _femtoseconds(element: Element) -> float:
    from ipi.utils.units import unit_to_internal

    unit = element.get("units", "atomic_unit").strip()
    value = float(element.text) * unit_to_internal("time", unit, 1.0)
    return value / unit_to_internal("time", "femtosecond", 1.0)


def _set(parent: Element, path: str, text: str) -> None:
    """Set the text of an element, made if it is not there."""
    for tag in path.split("/"):
        found = parent.find(tag)
        parent = SubElement(parent, tag) if found is None else found
    parent.text = f" {text} "


def _replace(parent: Element, tag: str, new: Element) -> None:
    """Put an element in the place of the one with that tag, or at the end."""
    for index, child in enumerate(parent):
        if child.tag == tag:
            parent[index] = new
            return
    parent.append(new)
