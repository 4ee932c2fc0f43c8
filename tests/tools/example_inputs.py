"""Inputs of i-PI's examples, read, changed and given models."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path
from shutil import copyfile
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from simulation import ENVIRONMENT
from twins import put, sockets_of

REASONS = {
    r"extra|KeyError: '(dipole|committee|friction|BEC)|not in extras": "needs extras of the model",
    r"friction": "needs the friction of the model",
    r"plumed": "needs plumed",
    r"No such file|not found|FileNotFound|does not exist": "needs a file that is not there",
    r"polling|threaded": "its force field must be threaded, and says otherwise",
}
"""Why i-PI cannot run an input with a model of energy, forces and virial, by what it says."""

PROBE = """
import json, sys
from ipi.engine.simulation import Simulation
def tell(simulation):
    systems = [
        {"labels": list(map(str, s.beads.names)), "uses": [f.ffield for f in s.fcomp]}
        for s in simulation.syslist
    ]
    active = {name: list(map(int, f.active)) for name, f in simulation.fflist.items()}
    print("PROBED" + json.dumps({"systems": systems, "active": active}))
    sys.stdout.flush()
    import os; os._exit(0)
Simulation.load_from_xml(open(sys.argv[1]), read_only=True, post_init_hook=tell)
"""
"""Has i-PI read an input, and say which atoms there are and which of them a force field sees."""


def find_inputs(folder: Path, pattern: str) -> list[Path]:
    """Inputs below a folder whose relative path has the pattern in it."""
    found = [path for path in folder.rglob("*") if path.suffix in (".xml", ".json")]
    names = sorted(path for path in found if "<simulation" in path.read_text() or _is_json(path))
    return [p for p in names if fnmatch.fnmatch(str(p.relative_to(folder)), f"*{pattern}*")]


def _is_json(path: Path) -> bool:
    return path.suffix == ".json" and '"simulation"' in path.read_text()


def copy_files(source: Path, folder: Path, init_files: Path | None) -> None:
    """Copy the files of an example; in the place of a link's text, what it links to."""
    folder.mkdir(parents=True)
    for file in filter(Path.is_file, source.iterdir()):
        link = file.read_text() if file.stat().st_size < 200 and file.suffix != ".xml" else ""
        if init_files is not None and link.startswith("../"):
            file = init_files / Path(link.strip()).name
        if file.exists():
            copyfile(file, folder / file.name)


def read_input(path: Path) -> Element:
    """Its ``<simulation>``; of one in JSON as i-PI reads it."""
    if path.suffix == ".json":
        from ipi.utils.io.inputs.io_json import json_parse_file
        from ipi.utils.io.inputs.io_xml import xml_write

        with path.open() as file:
            return ElementTree.fromstring(xml_write(json_parse_file(file)))
    return ElementTree.parse(path).getroot()


def write_input(path: Path, root: Element) -> None:
    """In the form that its name says."""
    text = ElementTree.tostring(root, encoding="unicode")
    if path.suffix == ".json":
        from ipi.utils.io.inputs.io_json import xmlnode_to_json
        from ipi.utils.io.inputs.io_xml import xml_parse_string

        text = json.dumps(xmlnode_to_json(xml_parse_string(text)), indent=1)
    path.write_text(text)


def reference(path: Path, root: Element) -> Path:
    """The input for i-PI alone as XML, which the bare driver reads, too."""
    if path.suffix != ".json":
        return path
    xml = path.with_name("reference.xml")
    xml.write_text(ElementTree.tostring(root, encoding="unicode"))
    return xml


def probe(path: Path) -> dict | str:
    """What i-PI says of atoms and force fields; or why it does not read the input."""
    ended = subprocess.run(
        [sys.executable, "-c", PROBE, path.name],
        cwd=path.parent,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    for line in ended.stdout.splitlines():
        if line.startswith("PROBED"):
            return json.loads(line.removeprefix("PROBED"))
    return reason(ended.stdout + ended.stderr)


def give_models(root: Element, probed: dict, folders: list[Path], example: Path) -> set[str]:
    """Give each socket a model and a template; return the names of files made for that."""
    made = set()
    for index, (element, field) in enumerate(list(sockets_of(root))):
        template = start_file(root, element, example)
        if template is None:
            template = f"template_{index}.xyz"
            made.add(template)
            labels = atoms_of(probed, element, field)
            rows = "".join(f"{label} 0 0 {place}\n" for place, label in enumerate(labels))
            for folder in folders:
                (folder / template).write_text(f"{len(labels)}\n\n{rows}")
        parameters = {
            "model": f"python:anything:anything?scale={1.0 + 0.1 * index:.1f}",
            "role": "direct" if index else "conservative",
            "template": template,
        } | ({"energy": "model"} if index else {})
        put(element, "parameters", f"{{{', '.join(f'{k}: {v}' for k, v in parameters.items())}}}")
    return made


def start_file(root: Element, element: Element, example: Path) -> str | None:
    """The file that i-PI starts from, where a user would name it as template, too."""
    files = {
        (file.get("mode"), (file.text or "").strip())
        for file in root.iterfind("system/initialize/file")
    }
    plain = element.find("activelist") is None and element.tag == "ffsocket"
    if len(files) == 1 and plain:
        mode, name = files.pop()
        if mode in ("xyz", "ase", "pdb") and (example.parent / name).is_file():
            return name
    return None


def atoms_of(probed: dict, element: Element, field: Element) -> list[str]:
    """Labels of the atoms that a socket sees."""
    name = field.get("name", "").strip()
    systems = [s for s in probed["systems"] if name in s["uses"]] or probed["systems"]
    labels = systems[0]["labels"]
    active = probed["active"].get(name, [-1])
    if active[0] >= 0:
        labels = [labels[atom] for atom in active]
    return labels if element.tag == "ffsocket" else [label for label in labels if label != "L"]


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    return (errors or lines or ["nothing was said"])[-1][:300]


def reason(log: str) -> str:
    """Why i-PI failed, in few words: one error may hide another."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line[:160] for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    for said in errors:
        for words, why in REASONS.items():
            if re.search(words, said, re.IGNORECASE):
                return f"{why} ({said})"
    return (errors or lines or ["nothing was said"])[-1][:160]
