"""The whole of ``halfkick validate``: runs, optimisations, verdicts and a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ....models.base import Role
from ....models.load import load_model
from ....models.pair import Pair
from ...run.processes import Machine
from ...run.runner import quiet_runner
from . import quantum, quantum_report
from .optimise import Optimised
from .quantum import QuantumOptions
from .subject import QUANTUM_SCENARIO, own_system, water
from .validate import (
    ValidationOptions,
    geometries,
    html,
    results,
    simulate,
    subject_of,
    targets,
    to_json,
)
from .verdicts import Verdict, verdicts

__all__ = ["validate_model", "validate_quantum"]


def validate_model(
    options: ValidationOptions,
    out: Path,
    machine: Machine,
    log: Callable[[str], None] = lambda _: None,
) -> list[Verdict]:
    """Judge direct forces alone and corrected; what has been run in ``out`` is not run again.

    Args:
        options: what to run.
        out: folder for the runs, ``validate.html`` and ``validate.json``.
        machine: where the model runs.
        log: told what is being done.

    Raises:
        InputError: if the input is another kind of calculation.
        RunError: if a run that others need fails.
        ModelError: if the model cannot be used.
    """
    subject = subject_of(options, out)
    specs = {role: subject.models[role] for role in Role}
    loaded = {
        spec: load_model(spec, device=machine.device, dtype=machine.dtype)
        for spec in dict.fromkeys(specs.values())
    }
    pair = Pair({role: loaded[spec] for role, spec in specs.items()})
    runner = quiet_runner(machine)
    folders = simulate(options, subject, out, runner, log)
    optimised: list[Optimised] = []
    if options.optimise_steps:
        optimised = geometries(options, subject, folders, out, pair, runner, log)
    reports = results(options, folders)
    judged = verdicts(reports, targets(reports, pair), optimised)
    page = html(options, subject, reports, judged, optimised)
    (out / "validate.html").write_text(page, encoding="utf-8")
    (out / "validate.json").write_text(to_json(options, reports, judged, optimised))
    return judged


def validate_quantum(
    options: QuantumOptions,
    out: Path,
    machine: Machine,
    log: Callable[[str], None] = lambda _: None,
) -> list[Verdict]:
    """Judge path integrals in several ways; what has been run in ``out`` is not run again.

    A run that was interrupted goes on where it was. The report is of all ways that have finished.

    Args:
        options: what to run.
        out: folder for the runs, ``validate.html`` and ``validate.json``.
        machine: where the model runs.
        log: told what is being done.

    Raises:
        InputError: if the input is another kind of calculation.
        RunError: if the equilibration fails.
    """
    if options.input is None:
        subject = water(options.model, options.molecules, out, QUANTUM_SCENARIO)
    else:
        subject = own_system(options.input, quantum=True)
    quantum.simulate(options, subject, out, quiet_runner(machine, resume=True), log)
    reports = quantum.results(options, out)
    judged = quantum_report.verdicts(reports)
    page = quantum_report.html(options, subject, reports, judged)
    (out / "validate.html").write_text(page, encoding="utf-8")
    (out / "validate.json").write_text(quantum_report.to_json(options, reports, judged))
    return judged
