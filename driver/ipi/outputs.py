"""i-PI's output files as they lie in a folder: their names, and how far they reach."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from .truncate import last_step

__all__ = ["Reach", "lacking", "output_files", "output_name", "reached"]


@dataclass(frozen=True)
class Reach:
    """The last step in a file that has every ``stride``-th; ``None`` if it does not tell."""

    last: int | None
    stride: int


def output_name(output: ElementTree.Element, root: ElementTree.Element) -> str:
    """What i-PI calls the file of a single system, without bead and format."""
    prefix = root.find("output").get("prefix", "i-pi").strip()
    default = {"properties": "out", "trajectory": "traj", "checkpoint": "restart"}[output.tag]
    return ".".join(part for part in (prefix, output.get("filename", default).strip()) if part)


def output_files(root: ElementTree.Element, folder: Path, *kinds: str) -> list[Path]:
    """Output files on disk, of all systems and beads: of these kinds, or of all."""
    outputs = [o for o in root.iterfind("output/*") if not kinds or o.tag in kinds]
    return sorted({path for output in outputs for path in _files(output, root, folder)})


def reached(root: ElementTree.Element, folder: Path) -> dict[Path, Reach]:
    """How far each file of properties and positions reaches."""
    reach = {}
    for output in root.iterfind("output/*"):
        if output.tag in ("properties", "trajectory"):
            stride = int(output.get("stride", "1"))
            for path in _files(output, root, folder):
                reach[path] = Reach(last_step(path), stride)
    return reach


def lacking(reach: Mapping[Path, Reach], step: int) -> list[str]:
    """Names of the files that do not reach ``step``."""
    return [
        path.name
        for path, file in reach.items()
        if file.last is not None and file.last < step - step % file.stride
    ]


def _files(output: ElementTree.Element, root: ElementTree.Element, folder: Path) -> list[Path]:
    systems = {system.get("prefix", "").strip() for system in root.iter("system")} - {""}
    heads = "|".join(re.escape(f"{system}_") for system in systems)
    bead_and_format = r"(_\d+)?(\.(xyz|extxyz|pdb|json|bin))?"
    pattern = re.compile(f"({heads})?{re.escape(output_name(output, root))}{bead_and_format}")
    return [path for path in folder.iterdir() if pattern.fullmatch(path.name)]
