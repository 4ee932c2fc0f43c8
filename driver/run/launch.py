"""``halfkick run``: copies a scenario, makes a folder ready, has it run."""

from __future__ import annotations

import logging
import os
from importlib.resources import as_file, files
from pathlib import Path
from shutil import copy2
from typing import TYPE_CHECKING

from ..errors import InputError
from .addresses import claim
from .folder import find_input
from .job import describe, prepare
from .processes import Machine, driver_command, environment
from .supervisor import Supervisor

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["copy_scenario", "run"]

log = logging.getLogger(__name__)


def copy_scenario(name: str, destination: Path) -> Path:
    """Copy a scenario that ships with halfkick to ``destination / name``.

    Files that are there already stay as they are: they may have been edited, or belong to a run.

    Raises:
        InputError: if there is no such scenario.
    """
    source = files("halfkick.ipi_inputs")
    names = sorted(entry.name for entry in source.iterdir() if (entry / "input.xml").is_file())
    if name not in names:
        raise InputError(
            f"expected an i-PI input file or one of the scenarios {', '.join(names)}, got '{name}'"
        )
    folder = destination / name
    folder.mkdir(parents=True, exist_ok=True)
    with as_file(source / name) as original:
        for file in original.iterdir():
            if not (folder / file.name).exists():
                copy2(file, folder)
    return folder


def run(
    input_xml: Path,
    machine: Machine,
    console: Console,
    *,
    steps: int | None = None,
    restart: bool = False,
    driver_only: bool = False,
) -> int:
    """Run i-PI and the driver on an input, in its folder or the working directory.

    See :attr:`~halfkick.driver.ipi.input.IpiInput.folder` for which.

    Args:
        input_xml: i-PI's input, or a folder that holds ``input.xml``.
        machine: where the model runs.
        console: for progress and summary.
        steps: outer steps in all, instead of the input's.
        restart: whether to continue an earlier run.
        driver_only: whether to start the driver alone; this process becomes it.

    Returns:
        Exit code: 0 when i-PI ended by itself, 128 + N after signal N, 1 if something failed.

    Raises:
        InputError: if the run cannot start.
    """
    xml = find_input(input_xml.resolve())
    described = describe(xml)
    if driver_only:
        command = driver_command(xml, described.folder, machine)
        os.chdir(described.folder)
        os.execve(command[0], command, environment(machine.threads))
    claim(
        described.sockets
    )  # before anything is moved: the folder may belong to a run that goes on
    job = prepare(xml, steps, restart)
    job.files.report.unlink(missing_ok=True)
    if not job.source.tells_steps:
        log.warning(
            "the input writes no properties with 'step': no progress is shown; "
            "halfkick watch tells how the driver gets on"
        )
    return Supervisor(job, machine).run(console)
