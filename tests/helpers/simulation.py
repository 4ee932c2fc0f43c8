"""Real i-PI runs for the tests: writes an input, runs i-PI and the driver, reads what came out."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
from toy import atoms

from halfkick.driver.run.prompt_ipi import wrap_ipi

HELPERS = Path(__file__).parent
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(HELPERS),
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}
SCRIPT = str(Path(sys.executable).with_name("i-pi"))
IPI = [sys.executable, SCRIPT]
PROMPT_IPI = wrap_ipi([SCRIPT])
"""The same, with an end that does not wait up to a second, as ``halfkick run`` starts it."""
HALFKICK = [sys.executable, "-m", "halfkick.driver"]
PORTS = iter(range(20_000 + os.getpid() * 101 % 12_000, 32_768))

ENSEMBLES = {
    "nve": "<dynamics mode='nve'>{mts}</dynamics>",
    "svr": "<dynamics mode='nvt'>{mts}"
    "<thermostat mode='svr'><tau units='femtosecond'>10</tau></thermostat></dynamics>",
    "pile": "<dynamics mode='nvt'>{mts}"
    "<thermostat mode='pile_l'><tau units='femtosecond'>20</tau></thermostat></dynamics>",
    "npt": "<dynamics mode='npt'>{mts}"
    "<thermostat mode='langevin'><tau units='femtosecond'>20</tau></thermostat>"
    "<barostat mode='isotropic'><tau units='femtosecond'>100</tau>"
    "<thermostat mode='langevin'><tau units='femtosecond'>100</tau></thermostat></barostat>"
    "</dynamics>",
}

XML = """<simulation verbosity='low' safe_stride='1000' floatformat='%24.16e'
  sockets_prefix='{prefix}'>
  <output prefix='simulation'>
    <properties stride='1' filename='out'> [ step, time{{picosecond}}, conserved{{electronvolt}},
      temperature{{kelvin}}, potential{{electronvolt}}, kinetic_md{{electronvolt}} ] </properties>
    <trajectory stride='{steps}' filename='pos' bead='-1' format='ase'> positions{{ase}}
    </trajectory>
    <checkpoint stride='100000'/>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 12345 </seed> </prng>
  {fields}
  <system>
    <initialize nbeads='{beads}'>
      <file mode='ase'> init.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> {forces} </forces>
    <motion mode='dynamics'> {dynamics} </motion>
    <ensemble>
      <temperature units='kelvin'> 300 </temperature> <pressure units='megapascal'> 10 </pressure>
    </ensemble>
  </system>
</simulation>
"""

SOCKET = """<ffsocket name='{name}' mode='{mode}' pbc='false'>
    <address> {address} </address> {port} <latency> 1e-4 </latency> {batch}
    <timeout> {timeout} </timeout> {extra} <parameters> {{ {parameters} }} </parameters>
  </ffsocket>"""
DIRECT = """<ffdirect name='{name}' pbc='false'>
    <pes> custom </pes> <pes_path> {pes} </pes_path>
    <parameters> {{ {parameters} }} </parameters>
  </ffdirect>"""


@dataclass(frozen=True)
class Case:
    """One run.

    Attributes:
        roles: force fields, by role; the levels of multiple time stepping follow from them.
        strides: ``nmts``, outermost first; the innermost step is 0.5 fs.
        mode: ``unix``, ``inet`` or ``shm``; ``None`` for i-PI's own ``ffdirect``.
        extra: further tags of each ``<ffsocket>``.
        structure: to start from; that of the toy if ``None``.
    """

    ensemble: str = "nve"
    roles: tuple[str, ...] = ("conservative", "direct")
    strides: tuple[int, ...] = (1, 4)
    mode: str | None = "unix"
    batch: int = 1
    beads: int = 1
    steps: int = 50
    model: str = "python:toy:toy"
    template: str = "init.xyz"
    extra: str = ""
    timeout_s: int = 60
    structure: ase.Atoms | None = None


def write(folder: Path, case: Case) -> Path:
    """Write input.xml and init.xyz; the address is the folder's own."""
    structure = atoms() if case.structure is None else case.structure
    structure.wrap()
    ase.io.write(folder / "init.xyz", structure)
    fields = [_field(folder, case, role, index) for index, role in enumerate(case.roles)]
    levels = len(case.strides)
    weights = {"conservative": [1.0] + [0.0] * (levels - 1), "direct": [0.0] * levels}
    if len(case.roles) == 1:
        weights = {case.roles[0]: [1.0] * levels}
    elif levels > 1:
        weights["direct"] = [-1.0, 1.0] if levels == 2 else [-1.0, 0.5, 0.5]
    forces = "".join(
        f"<force forcefield='{role}'><mts_weights> {weights[role]} </mts_weights></force>"
        for role in case.roles
    )
    mts = (
        f"<timestep units='femtosecond'> {0.5 * int(np.prod(case.strides))} </timestep>"
        f"<nmts> {list(case.strides)} </nmts>"
    )
    xml = XML.format(
        prefix=f"{folder}/",
        steps=case.steps,
        beads=case.beads,
        fields="\n  ".join(fields),
        forces=forces,
        dynamics=ENSEMBLES[case.ensemble].format(mts=mts),
    )
    path = folder / "input.xml"
    path.write_text(xml)
    return path


def _field(folder: Path, case: Case, role: str, index: int) -> str:
    parameters = f"model: {case.model}, role: {role}, template: {case.template}"
    if case.mode is None:
        return DIRECT.format(name=role, pes=HELPERS / "toy_pes.py", parameters=parameters)
    inet = case.mode == "inet"
    return SOCKET.format(
        name=role,
        mode=case.mode,
        address="localhost" if inet else role,
        port=f"<port> {free_port()} </port>" if inet else "",
        batch=f"<batch_size> {case.batch} </batch_size>" if case.batch > 1 else "",
        extra=case.extra,
        timeout=case.timeout_s,
        parameters=parameters,
    )


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, another one each time.

    From a range that the system takes for no outgoing connection, and tests that run beside these
    begin elsewhere in it.
    """
    for port in PORTS:
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("localhost", port))
            return port
    raise RuntimeError("expected a free port, got none")


def start(command: list[str], folder: Path, log: str) -> subprocess.Popen:
    """Start a process in ``folder`` with its output in ``log``."""
    with (folder / log).open("w") as out:
        return subprocess.Popen(
            command, cwd=folder, env=ENVIRONMENT, stdout=out, stderr=subprocess.STDOUT
        )


def simulate(
    folder: Path,
    case: Case,
    timeout_s: float = 120.0,
    edit: Callable[[str], str] = lambda xml: xml,
    ipi_command: Sequence[str] = PROMPT_IPI,
) -> Path:
    """Run a case, its input edited, to its end; both processes must end well."""
    path = write(folder, case)
    path.write_text(edit(path.read_text()))
    ipi = start([*ipi_command, "input.xml"], folder, "i-pi.log")
    children = [ipi]
    try:
        if case.mode is not None:
            children.append(start([*HALFKICK, "serve", "input.xml"], folder, "driver.log"))
        deadline = time.monotonic() + timeout_s
        for child in children:
            code = child.wait(max(deadline - time.monotonic(), 1.0))
            logs = "".join(p.read_text()[-2000:] for p in folder.glob("*.log"))
            if code != 0:
                raise RuntimeError(f"{child.args} ended with {code}:\n{logs}")
    finally:
        for child in children:
            child.kill()
            child.wait()
    return folder


def last_positions(folder: Path) -> np.ndarray:
    """Positions of all beads in the last frame, shape (beads, N, 3), Å."""
    files = sorted(folder.glob("simulation.pos_*.extxyz"))
    return np.array([ase.io.read(file, index=-1).positions for file in files])


def properties(folder: Path) -> dict[str, np.ndarray]:
    """The properties file by column name."""
    from ipi.scripting import read_output

    values, _ = read_output(str(folder / "simulation.out"))
    return values
