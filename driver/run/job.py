"""One i-PI simulation as it lies in a folder: what to start, how far it is, where it writes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

from ..errors import InputError
from ..ipi.energy_balance import without_energy
from ..ipi.input import Endpoint, read_input
from ..ipi.outputs import lacking, output_files, output_name, reached
from ..ipi.truncate import trim

__all__ = ["Job", "describe", "done_steps", "labels_of", "prepare"]

log = logging.getLogger(__name__)

OWN_FILES = (
    "RESTART",
    "i-pi.log",
    "driver.log",
    "driver.json",
    "driver.jsonl",
    "summary.json",
    "energy.png",
    "guard.xyz",
)
"""What a new run would overwrite; i-PI keeps its own earlier outputs itself."""


@dataclass(frozen=True)
class Job:
    """What i-PI is about to do.

    Attributes:
        input: what the user named.
        xml: the file i-PI is started with: the input, RESTART, or a copy with other steps.
        endpoints: its ``<ffsocket>`` elements.
        step: steps done before.
        total_steps: outer steps in all.
        inner_steps: evaluations of the fastest force in an outer step.
        properties: i-PI's file of energies and temperature, ``None`` if it writes none.
        restarted: whether this continues an earlier run.
        without_energy: a force field whose energy the conserved quantity lacks, if there is one.
    """

    input: Path
    xml: Path
    endpoints: list[Endpoint]
    step: int
    total_steps: int
    inner_steps: int
    properties: Path | None
    restarted: bool
    without_energy: str | None = None

    @property
    def folder(self) -> Path:
        """Where the job runs and leaves its files."""
        return self.xml.parent

    @cached_property
    def n_atoms(self) -> int | None:
        """Atoms of the first template that can be read, ``None`` if none can."""
        for endpoint in self.endpoints:
            template = self.folder / (endpoint.parameters or {}).get("template", "")
            if template.is_file():
                try:
                    return _count_atoms(template)
                except Exception as error:  # ASE's readers raise anything; the driver will say so
                    log.info("cannot read template %s: %s", template, error)
        return None


def prepare(input_xml: Path, steps: int | None, restart: bool) -> Job:
    """Make a folder ready for i-PI, losing nothing that an earlier run left there.

    A new run renames what it would overwrite to ``#NAME#N#``, as i-PI does with its outputs. A
    restart starts from the furthest of RESTART and the checkpoints, and cuts from the outputs the
    steps after it, which will be done again.

    Args:
        input_xml: i-PI's input.
        steps: outer steps in all, instead of ``<total_steps>``.
        restart: whether to go on with an earlier run.

    Raises:
        InputError: if the input is no input, or there is nothing to continue or left to do.
    """
    read_input(input_xml)  # says what is wrong with it
    xml = _furthest(input_xml) if restart else input_xml
    job = describe(xml)
    total = job.total_steps if steps is None else steps
    if total <= job.step:
        raise InputError(
            f"expected steps left to do, got {job.step} done of {total}; give --steps with more"
        )
    if steps is not None:
        xml = _with_total_steps(xml, input_xml, steps)
        job = replace(job, xml=xml, total_steps=steps)
    root = ElementTree.parse(xml).getroot()
    if restart:
        for path in output_files(root, xml.parent, "properties", "trajectory"):
            trim(path, job.step)
    else:
        _keep([xml.parent / name for name in OWN_FILES] + output_files(root, xml.parent))
    return replace(job, input=input_xml, restarted=restart)


def labels_of(jobs: Sequence[Job]) -> list[str]:
    """What to call runs: their folders' names, or whole paths where two share a name."""
    names = [job.folder.resolve().name for job in jobs]
    return names if len(set(names)) == len(names) else [str(job.folder) for job in jobs]


def describe(xml: Path) -> Job:
    """Read what a file for i-PI says, and leave its folder alone.

    Raises:
        InputError: if it is no input.
    """
    source = read_input(xml)
    root = ElementTree.parse(xml).getroot()
    return Job(
        input=xml,
        xml=xml,
        endpoints=source.endpoints,
        step=done_steps(root),
        total_steps=_integer(root, "total_steps", 1000),
        inner_steps=source.inner_steps,
        properties=_properties(root, xml.parent),
        restarted=False,
        without_energy=without_energy(root),
    )


def _count_atoms(template: Path) -> int:
    """How many atoms a structure has; an xyz file says so without ASE, slow to import."""
    if template.suffix in (".xyz", ".extxyz"):
        with template.open() as file:
            return int(file.readline())
    from ase.io import read

    return len(read(template))


def done_steps(root: ElementTree.Element) -> int:
    """The outer steps done when this input or RESTART was written."""
    return _integer(root, "step", 0)


def _keep(paths: Iterable[Path]) -> None:
    """Rename existing files to ``#NAME#N#``, as i-PI does with its outputs."""
    names = []
    for path in paths:
        if path.exists():
            number = 0
            while (kept := path.with_name(f"#{path.name}#{number}#")).exists():
                number += 1
            names.append(path.rename(kept).name)
    if names:
        log.warning("kept the files of an earlier run as %s", ", ".join(names))


def _integer(root: ElementTree.Element, tag: str, default: int) -> int:
    text = root.findtext(tag, str(default)).strip()
    try:
        return int(text)
    except ValueError:
        raise InputError(f"expected a whole number in <{tag}>, got '{text}'") from None


def _furthest(input_xml: Path) -> Path:
    """The state to go on from: RESTART, or a checkpoint if the run was killed since.

    i-PI writes checkpoint and outputs of a step at the same time. Killed meanwhile, it may have
    written the one and not the others: then an earlier checkpoint is the better one, if there is.
    """
    folder, root = input_xml.parent, ElementTree.parse(input_xml).getroot()
    found: dict[Path, int] = {}
    for path in [folder / "RESTART", *output_files(root, folder, "checkpoint")]:
        try:
            found[path] = done_steps(ElementTree.parse(path).getroot())
        except (OSError, ElementTree.ParseError):
            continue  # absent, or cut short when i-PI was killed
    if not found:
        raise InputError(
            f"expected RESTART or a checkpoint in '{folder}', got neither; run without --restart"
        )
    ordered = sorted(found, key=lambda path: found[path], reverse=True)
    best = ordered[0]
    if best.name == "RESTART":
        return best
    reach = reached(root, folder)
    whole = [p for p in ordered if p.name != "RESTART" and not lacking(reach, found[p])]
    if not whole:
        names = ", ".join(lacking(reach, found[best]))
        log.warning("i-PI was killed before it wrote step %d to %s", found[best], names)
    best = whole[0] if whole else best
    log.warning("continuing from %s, step %d", best.name, found[best])
    return best


def _with_total_steps(xml: Path, input_xml: Path, steps: int) -> Path:
    """A copy of ``xml`` beside the input, with another number of steps."""
    tree = ElementTree.parse(xml)
    element = tree.find("total_steps")
    if element is None:
        element = ElementTree.SubElement(tree.getroot(), "total_steps")
    element.text = str(steps)
    copy = input_xml.with_name(f"{input_xml.stem}.steps.xml")
    tree.write(copy)
    return copy


def _properties(root: ElementTree.Element, folder: Path) -> Path | None:
    """The properties file that tells most of how the run goes."""
    outputs = root.findall("output/properties")
    best = max(outputs, key=lambda output: "conserved" in (output.text or ""), default=None)
    if best is None:
        return None
    system = next(root.iter("system"), None)
    prefix = "" if system is None else system.get("prefix", "").strip()
    name = output_name(best, root)
    return folder / (f"{prefix}_{name}" if prefix else name)
