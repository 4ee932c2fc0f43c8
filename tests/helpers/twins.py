"""One input run twice: with halfkick, and with i-PI alone doing the same arithmetic.

In the second the sockets become ``<ffdirect>``, which call the model within i-PI. Where i-PI 3.3.1
has none (cavity photons) or one that does something else (it ignores ``<activelist>``, and cannot
write a RESTART of an ``<ffcommittee>`` with one), the sockets stay and i-PI's own Python driver
answers them, one thread for each.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from running import children
from same_numbers import Comparison, compare_runs
from simulation import ENVIRONMENT, HALFKICK, HELPERS, PROMPT_IPI, free_port

SOCKETS = ("ffsocket", "ffcavphsocket")
PES = HELPERS / "toy_pes.py"
OF_HALFKICK = {
    "i-pi.log", "driver.log", "driver.json", "driver.jsonl", "summary.json", "energy.png",
    "guard.xyz",
}  # fmt: skip
AGAIN = "again.xml"  # the restart of i-PI alone
KEPT = ("name", "pbc", "parameters", "latency", "offset")  # of a socket that becomes ffdirect
LOGS = ("said.out", "bare.out")  # of what is started first, and beside it
COUNTER = itertools.count()


@dataclass
class Ended:
    """A run that is over.

    Attributes:
        code: exit code; ``None`` if it was stopped because it took too long.
        said: its standard output and error.
        log: i-PI's.
        seconds: it took.
        left: processes and sockets that it left behind.
    """

    code: int | None
    said: str
    log: str
    seconds: float
    left: list[str]


@dataclass
class Twins:
    """An input in two folders, both of which hold all files that it needs.

    Attributes:
        ours: the input for halfkick.
        theirs: the input for i-PI alone.
    """

    ours: Path
    theirs: Path

    def run_ours(self, timeout_s: float, *options: str) -> Ended:
        """``halfkick run``."""
        command = [*HALFKICK, "run", self.ours.name, *options]
        return _run(self.ours, [command], timeout_s)

    def restart_ours(self, timeout_s: float, steps: int) -> Ended:
        """``halfkick run --restart``, up to so many steps in all."""
        return self.run_ours(timeout_s, "--restart", "--steps", str(steps))

    def restart_theirs(self, timeout_s: float, steps: int) -> Ended:
        """The same with i-PI alone, from its RESTART."""
        tree = ElementTree.parse(self.theirs.with_name("RESTART"))
        put(tree.getroot(), "total_steps", str(steps))
        tree.write(self.theirs.with_name(AGAIN))
        return self.run_theirs(timeout_s, self.theirs.with_name(AGAIN))

    def run_theirs(self, timeout_s: float, xml: Path | None = None) -> Ended:
        """i-PI, and its Python driver where sockets are left."""
        xml = xml or self.theirs
        commands = [[*PROMPT_IPI, xml.name]]
        if list(sockets_of(ElementTree.parse(xml).getroot())):
            commands.append([sys.executable, str(HELPERS / "bare_driver.py"), xml.name])
        return _run(xml, commands, timeout_s)

    def compare(self, before: set[str]) -> Comparison:
        """All outputs of both, but files that were there before."""
        return compare_runs(outputs(self.ours, before), outputs(self.theirs, before))


def outputs(xml: Path, before: set[str]) -> dict[str, Path]:
    """What i-PI left beside an input, by name."""
    ignored = before | OF_HALFKICK | {xml.name, AGAIN, *LOGS, "__pycache__"}
    ignored.add(f"{xml.stem}.steps.xml")
    return {path.name: path for path in xml.parent.iterdir() if path.name not in ignored}


# ---- inputs


def sockets_of(root: Element) -> Iterator[tuple[Element, Element]]:
    """Each socket, and the force field around it, which is itself where there is none."""
    for field in root:
        for element in field.iter():
            if element.tag in SOCKETS:
                yield element, field


def give_addresses(root: Element) -> None:
    """Addresses of this process alone, so that runs beside each other do not meet."""
    for element, _ in sockets_of(root):
        if element.get("mode", "inet").strip() == "inet":
            put(element, "address", "localhost")
            put(element, "port", str(free_port()))
        else:
            put(element, "address", f"hk_twin_{os.getpid()}_{next(COUNTER)}")


def make_comparable(root: Element) -> None:
    """Every output at each step, numbers in full, and nothing left to chance.

    Threads of several systems draw random numbers from one source, in the order in which they
    happen to come: i-PI 3.3.1 does not repeat itself then, whatever the seed.
    """
    root.set("floatformat", "%24.16e")
    for element in [root, *root.iter("ffrotations")]:
        if element.find("prng/seed") is None:  # i-PI takes the time
            for prng in element.findall("prng"):
                element.remove(prng)
            put(SubElement(element, "prng"), "seed", "31415")
    if len([*root.iter("system"), *root.iter("instance")]) > 1:
        root.set("threading", "False")
    for kind in ("properties", "trajectory", "checkpoint"):
        for element in root.iter(kind):
            element.set("stride", "1")


def without_sockets(root: Element) -> None:
    """The input for i-PI alone: what can be is computed within it."""
    for element, field in list(sockets_of(root)):
        is_plain = element.find("activelist") is None and field.tag in ("ffsocket", "ffrotations")
        if not is_plain:
            continue
        element.tag = "ffdirect"
        element.attrib = {key: element.attrib[key] for key in KEPT if key in element.attrib}
        for child in list(element):
            if child.tag not in KEPT:
                element.remove(child)
        put(element, "pes", "custom")
        put(element, "pes_path", str(PES))


def put(element: Element, tag: str, text: str) -> None:
    """Set the text of a child, which is made if it is missing."""
    child = element.find(tag)
    child = SubElement(element, tag) if child is None else child
    child.text = f" {text} "


# ---- processes


def _run(xml: Path, commands: list[list[str]], timeout_s: float) -> Ended:
    """Run the first command to its end, the others beside it, in the input's folder."""
    folder, begin = xml.parent, time.monotonic()
    names = LOGS[: len(commands)]
    running = []
    try:
        for command, name in zip(commands, names, strict=True):
            with (folder / name).open("w") as out:
                process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=ENVIRONMENT,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                )
            running.append(process)
        try:
            code: int | None = running[0].wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
    finally:
        for process in running:
            process.kill()
            process.wait()
    said = (folder / names[0]).read_text(errors="replace")
    log = folder / "i-pi.log"
    log_text = log.read_text(errors="replace") if log.is_file() else said
    return Ended(code, said, log_text, time.monotonic() - begin, _left(xml))


def _left(xml: Path, patience_s: float = 5.0) -> list[str]:
    """Processes at work in the folder and sockets of the input, which are then removed."""
    deadline = time.monotonic() + patience_s
    while (alive := children(xml.parent)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in alive.values():
        os.kill(pid, signal.SIGKILL)
    found = [f"process {name}" for name in alive]
    for address in addresses(xml):
        for path in Path("/tmp").glob(f"*_{address}"):
            if path.is_socket():
                found.append(f"socket {path}")
                path.unlink()
    return found


def addresses(xml: Path) -> list[str]:
    """What the unix sockets of an input are called."""
    if xml.suffix == ".json":
        return []
    found = (element.find("address") for element, _ in sockets_of(ElementTree.parse(xml).getroot()))
    texts = (child.text or "" for child in found if child is not None)
    return [text.strip() for text in texts if text.strip() != "localhost"]
