"""One i-PI simulation as it lies in a folder: what to start, how far it is, where it writes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import InputError
from ..ipi.checks import check_input
from ..ipi.input import IpiInput
from ..ipi.output_files import lacking
from ..ipi.sockets import Socket
from .folder import RunFolder
from .systems import RunSystem, systems_of

__all__ = ["Job", "describe", "labels_of", "prepare"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What i-PI is about to do.

    Attributes:
        input: what the user named.
        source: what i-PI is started with: the input, RESTART, or a copy with other steps.
        restarted: whether this continues an earlier run.
    """

    input: Path
    source: IpiInput
    restarted: bool = False

    @property
    def xml(self) -> Path:
        """The file i-PI is started with."""
        return self.source.path

    @property
    def folder(self) -> Path:
        """Where the job runs and leaves its files."""
        return self.source.folder

    @property
    def files(self) -> RunFolder:
        """The files that it leaves beside i-PI's outputs."""
        return RunFolder(self.folder)

    @property
    def sockets(self) -> list[Socket]:
        """Its ``<ffsocket>`` elements."""
        return self.source.sockets

    @property
    def step(self) -> int:
        """Steps done before."""
        return self.source.step

    @property
    def total_steps(self) -> int:
        """Outer steps in all."""
        return self.source.total_steps

    @property
    def inner_steps(self) -> int:
        """Evaluations of the fastest force in an outer step."""
        return self.source.inner_steps

    @cached_property
    def systems(self) -> list[RunSystem]:
        """What moves in it: at least one system."""
        return systems_of(self.source)


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
        InputError: if the input is no input, would be computed wrongly, or there is nothing to
            continue or left to do.
    """
    source = IpiInput.read(input_xml)
    start = _furthest(source) if restart else source
    state = start.path
    total = start.total_steps if steps is None else steps
    if total <= start.step:
        raise InputError(
            f"expected steps left to do, got {start.step} done of {total}; give --steps with more"
        )
    check_input(start, start.folder)
    if steps is not None:
        copy = input_xml.with_name(f"{input_xml.stem}.steps.xml")
        start = IpiInput.read(start.replace(total_steps=steps).write(copy))
    job = Job(input_xml, start, restarted=restart)
    if restart:
        _cut_outputs(job, state)
    else:
        _keep(job.files.overwritten + start.files.on_disk())
    return job


def _cut_outputs(job: Job, state: Path) -> None:
    """Drop from the outputs what will be done again; say of which files that cannot be done.

    Args:
        job: that goes on.
        state: the file it goes on from.
    """
    files = job.source.files
    own = {*job.files.overwritten, job.input, job.xml}
    others = [path for path in files.others(since=state) if path not in own]
    if unclear := [path.name for path in files.truncate(job.step) + others]:
        log.warning(
            "cannot tell the steps in %s: what follows step %d stays there",
            ", ".join(unclear), job.step
        )  # fmt: skip


def labels_of(jobs: Sequence[Job]) -> list[str]:
    """What to call runs: their folders' names, or whole paths where two share a name."""
    names = [job.folder.resolve().name for job in jobs]
    return names if len(set(names)) == len(names) else [str(job.folder) for job in jobs]


def describe(xml: Path) -> Job:
    """Read what a file for i-PI says, and leave its folder alone.

    Raises:
        InputError: if it is no input.
    """
    return Job(xml, IpiInput.read(xml))


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


def _furthest(source: IpiInput) -> IpiInput:
    """The state to go on from: RESTART, or a checkpoint if the run was killed since.

    i-PI writes checkpoint and outputs of a step at the same time. Killed meanwhile, it may have
    written the one and not the others: then an earlier checkpoint is the better one, if there is.
    """
    restart = RunFolder(source.folder).restart
    found: list[IpiInput] = []
    for path in [restart, *source.files.on_disk("checkpoint")]:
        try:
            state = IpiInput.read(path)
        except InputError:
            continue  # absent, or cut short when i-PI was killed
        found.append(state)
    if not found:
        raise InputError(
            f"expected RESTART or a checkpoint in '{source.folder}', got neither; "
            f"run without --restart"
        )
    ordered = sorted(found, key=lambda state: state.step, reverse=True)
    best = ordered[0]
    if best.path == restart:
        return best
    reach = source.files.reach()
    whole = [s for s in ordered if s.path != restart and not lacking(reach, s.step)]
    if not whole:
        names = ", ".join(lacking(reach, best.step))
        log.warning("i-PI was killed before it wrote step %d to %s", best.step, names)
    best = whole[0] if whole else best
    log.warning("continuing from %s, step %d", best.path.name, best.step)
    return best
