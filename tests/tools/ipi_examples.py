"""Runs the examples that i-PI comes with, with halfkick and with i-PI alone, and compares them.

``python tests/tools/ipi_examples.py FOLDER`` takes every input below
``FOLDER``, which is ``examples/features`` of i-PI's sources. Many of its files are links to
``examples/init_files``; where an archive holds the text of a link instead, ``--init-files`` says
where those are. Each of its sockets gets an analytic model of
its own, the first one with the role conservative, further ones with the role direct and the model's
energy. Outputs are written at each step, in full. A few steps are done in two fresh folders, by
``halfkick run`` and by i-PI with the same arithmetic (see :mod:`twins`), and every number of every
output is compared: properties, trajectories, checkpoints.

Results go to a file as they come; inputs that are in it already are not run again.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shutil import rmtree

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from example_inputs import (
    copy_files,
    find_inputs,
    give_models,
    last_line,
    probe,
    read_input,
    reason,
    reference,
    write_input,
)
from same_numbers import NOTHING, RTOL
from twins import (
    Ended,
    Twins,
    give_addresses,
    make_comparable,
    outputs,
    put,
    sockets_of,
    without_sockets,
)

SAME = "same numbers"

RIGHTLY = "refused rightly"

CANNOT = "i-PI itself cannot run it"

NO_SOCKET = "no socket force field"

WRONGLY = "refused wrongly"

OTHER = "other numbers"

HANGS = "hangs"

BAD = (WRONGLY, OTHER, HANGS)

VERDICTS = (SAME, RIGHTLY, CANNOT, NO_SOCKET, *BAD)

REFUSALS: dict[str, str] = {}
"""What halfkick says of inputs that i-PI runs and that are refused all the same, and why."""


@dataclass
class Result:
    """What came of one example.

    Attributes:
        verdict: one of ``VERDICTS``.
        why: in words; what differs, or what was said.
        compared: numbers in both.
        largest: relative difference of them.
        seconds: both runs took.
        state: as halfkick's summary has it.
    """

    verdict: str
    why: str = ""
    compared: int = 0
    largest: float = 0.0
    seconds: float = 0.0
    state: str = ""


def examine(example: Path, scratch: Path, options: argparse.Namespace) -> Result:
    """Run one example both ways."""
    before = {path.name for path in example.parent.iterdir()} | {"reference.xml"}
    folders = [scratch / "halfkick", scratch / "ipi"]
    for folder in folders:
        copy_files(example.parent, folder, options.init_files)
    ours, theirs = (folder / example.name for folder in folders)
    root = read_input(ours)
    if not list(sockets_of(root)):
        return Result(NO_SOCKET)
    probed = probe(ours)
    if isinstance(probed, str):
        return Result(CANNOT, probed)
    give_addresses(root)
    make_comparable(root)
    put(root, "total_steps", str(options.steps))
    before |= give_models(root, probed, folders, example)
    write_input(ours, root)
    without_sockets(root)
    write_input(theirs, root)
    twins = Twins(ours, theirs)
    expected = twins.run_theirs(options.timeout, reference(theirs, root))
    if expected.code != 0:
        return _unfit(twins, expected, options)
    result = _judge(twins, expected, twins.run_ours(options.timeout), before)
    if result.verdict == SAME and options.restart:
        steps = 2 * options.steps
        expected = twins.restart_theirs(options.timeout, steps)
        if expected.code != 0:
            return replace(result, why=f"i-PI alone does not restart: {reason(expected.log)}")
        got = twins.restart_ours(options.timeout, steps)
        return _judge(twins, expected, got, before)
    return result


def _unfit(twins: Twins, expected: Ended, options: argparse.Namespace) -> Result:
    """i-PI fails alone: with halfkick it must fail as well, in time and with nothing left."""
    why = "takes too long" if expected.code is None else reason(expected.log)
    got = twins.run_ours(options.timeout)
    seconds = expected.seconds + got.seconds
    if got.code is None or got.left:
        return Result(HANGS, f"i-PI alone: {why}; left: {got.left}", seconds=seconds)
    if got.code == 0 and expected.code is not None:
        return Result(OTHER, f"runs, while i-PI alone ends with '{why}'", seconds=seconds)
    return Result(CANNOT, f"{why}; halfkick: {last_line(got.said)}", seconds=seconds)


def _judge(twins: Twins, expected: Ended, got: Ended, before: set[str]) -> Result:
    seconds = expected.seconds + got.seconds
    if got.code is None or got.left:
        return Result(HANGS, f"left: {got.left}; {last_line(got.said)}", seconds=seconds)
    if got.code != 0:
        said = last_line(got.said)
        if any(has_nan(path) for path in outputs(twins.theirs, before).values()):
            return Result(CANNOT, f"its numbers are NaN; halfkick: {said}", seconds=seconds)
        right = next((why for words, why in REFUSALS.items() if re.search(words, said)), None)
        verdict = RIGHTLY if right else WRONGLY
        return Result(verdict, f"{right}: {said}" if right else said, seconds=seconds)
    found = twins.compare(before)
    summary = twins.ours.parent / "summary.json"
    state = json.loads(summary.read_text())["state"] if summary.exists() else "no summary"
    verdict, why = SAME, f"{found.files} files"
    if found.differences or not found.numbers:
        verdict, why = OTHER, "; ".join(found.differences) or "no numbers"
    elif state != "finished":
        verdict, why = WRONGLY, f"i-PI ended by itself, told as '{state}'"
    return Result(verdict, why, found.numbers, found.largest, seconds, state)


def has_nan(path: Path) -> bool:
    return bool(re.search(r"\bnan\b", path.read_text(errors="replace")))


def table(results: dict[str, Result]) -> str:
    lines = [
        f"{'verdict':26s} {'numbers':>9s} {'largest':>8s} {'s':>5s}  input",
        *(
            f"{r.verdict:26s} {r.compared:9d} {r.largest:8.1e} {r.seconds:5.0f}  {name}"
            + (f"\n{'':53s}{r.why}" if r.verdict not in (SAME, NO_SOCKET) else "")
            for name, r in results.items()
        ),
        "",
        *(f"{sum(r.verdict == v for r in results.values()):4d}  {v}" for v in VERDICTS),
        f"tolerance: {RTOL:g} of the largest number in a column (none below {NOTHING:g} of the "
        "largest in the file), or one in the last digit printed",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="inputs whose path has this pattern in it")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=120.0, help="of a run, seconds")
    parser.add_argument("--list", action="store_true", help="say which inputs there are")
    parser.add_argument("--init-files", type=Path, help="where the files are that are linked to")
    parser.add_argument("--keep", type=Path, help="leave all runs in this folder")
    parser.add_argument("--results", type=Path, default=Path("ipi_examples.json"))
    parser.add_argument("--restart", action="store_true", help="do as many steps from RESTART, too")
    parser.add_argument("--again", action="store_true", help="run also what is in the results")
    options = parser.parse_args()
    inputs = find_inputs(options.folder, options.only)
    names = [str(path.relative_to(options.folder)) for path in inputs]
    if options.list:
        print("\n".join(names))
        return
    known = json.loads(options.results.read_text()) if options.results.exists() else {}
    results = {name: Result(**known[name]) for name in names if name in known}
    for name, path in zip(names, inputs, strict=True):
        if name in results and not options.again:
            continue
        scratch = (options.keep or Path(tempfile.mkdtemp(prefix="hk"))) / name
        rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        results[name] = examine(path, scratch, options)
        if options.keep is None:
            rmtree(scratch)
        known[name] = asdict(results[name])
        options.results.write_text(json.dumps(known, indent=1) + "\n")
        print(f"{results[name].verdict:26s} {name}: {results[name].why}"[:300], flush=True)
    print(table({name: results[name] for name in names}))
    if any(result.verdict in BAD for result in results.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
