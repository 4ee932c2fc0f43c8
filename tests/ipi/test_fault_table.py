"""What may happen to a run, each with its outcome.

Either the outputs are those of the undisturbed run, or the run ends in a clear error with RESTART.

====================================================  ============================================
driver killed, also with a request unread             test_run: replaced; i-PI started again
driver stopped or hanging, with a <timeout>           test_run, test_faults: replaced
connection cut or reset within a message              test_faults: the driver comes back
i-PI killed, its socket file and shared memory stay   test_run: --restart goes on
answers that stop i-PI's polling thread               test_protocol_ipi: refused
numbers that are not finite from i-PI                 test_run: clear error
====================================================  ============================================

The others are here.
"""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faults import DEADLINE
from rows import rows, steps_written
from running import children
from simulation import ENVIRONMENT, HALFKICK, IPI, Case, properties, simulate, start, write

CASE = Case("svr", strides=(1, 2), steps=300)
ENDLESS = Case("svr", strides=(1, 2), steps=100_000)
RUN = [*HALFKICK, "run", "input.xml"]


def last_line(folder: Path) -> str:
    return (folder / "run.log").read_text().rstrip().split("\n")[-1]


def wait_for(step: int, folder: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while max(steps_written(folder), default=-1) < step:
        assert time.monotonic() < deadline, (folder / "driver.log").read_text()
        time.sleep(0.02)


def assert_ended_with_restart(folder: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while children(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert children(folder) == {}
    assert not [path for path in folder.iterdir() if path.is_socket()]
    assert "</simulation>" in (folder / "RESTART").read_text()


@pytest.fixture(autouse=True)
def _end_what_a_failed_test_leaves(tmp_path):
    yield
    for pid in children(tmp_path).values():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("undisturbed"), CASE)


def same(folder: Path, undisturbed: Path) -> bool:
    return rows(folder) == rows(undisturbed)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("atoms", "shape"), ("poison", "NaN or infinity in direct energy and virial")],
)
def test_answers_that_would_stop_or_poison_ipi_end_the_run(tmp_path, fault, said):
    write(tmp_path, Case("svr", strides=(1, 2), steps=30, model=f"python:faulty:{fault}"))
    code = start(RUN, tmp_path, "run.log").wait(DEADLINE)
    assert code == 1
    assert "error: after step " in last_line(tmp_path) and said in last_line(tmp_path)
    assert_ended_with_restart(tmp_path)


def test_hanging_model_without_timeout_ends_with_sigterm(tmp_path):
    """Nobody can tell it from one that is slow. SIGTERM and once more leave RESTART."""
    case = Case("svr", strides=(1, 2), steps=30, timeout_s=0, model="python:faulty:hang")
    write(tmp_path, case)
    process = start(RUN, tmp_path, "run.log")
    wait_for(1, tmp_path)
    time.sleep(0.5)
    process.terminate()
    time.sleep(0.5)
    process.terminate()
    assert process.wait(DEADLINE) == 128 + signal.SIGTERM
    assert_ended_with_restart(tmp_path)


def test_stopped_driver_without_timeout_is_replaced(tmp_path, undisturbed):
    """It gives no signs of life and is replaced."""
    write(tmp_path, replace(CASE, timeout_s=0))
    patient = (
        "import halfkick.driver.run.heartbeat as p; p.MAX_SILENCE_S = 3.0; "
        "from halfkick.driver.cli "
    )
    process = start(
        [sys.executable, "-c", patient + "import main; main()", *RUN[3:]], tmp_path, "run.log"
    )
    wait_for(5, tmp_path)
    os.kill(children(tmp_path)["driver"], signal.SIGSTOP)
    assert process.wait(DEADLINE) == 0
    assert "starting another" in (tmp_path / "run.log").read_text()
    assert steps_written(tmp_path) == steps_written(undisturbed)
    one, two = properties(tmp_path), properties(undisturbed)
    for name, values in two.items():  # a request may have been unread: i-PI was started again
        np.testing.assert_allclose(one[name], values, rtol=1e-8)


def test_hangup_ends_the_run_with_restart(tmp_path):
    write(tmp_path, ENDLESS)
    process = start(RUN, tmp_path, "run.log")
    wait_for(5, tmp_path)
    process.send_signal(signal.SIGHUP)
    assert process.wait(DEADLINE) == 128 + signal.SIGHUP
    assert_ended_with_restart(tmp_path)


def test_closed_terminal_ends_the_run_with_restart(tmp_path):
    write(tmp_path, ENDLESS)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(RUN[0], RUN, ENVIRONMENT)
    wait_for(5, tmp_path)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) > 0
    assert_ended_with_restart(tmp_path)
    assert (tmp_path / "summary.json").exists()


def test_exit_file_ends_the_run_with_restart(tmp_path):
    write(tmp_path, ENDLESS)
    process = start(RUN, tmp_path, "run.log")
    wait_for(5, tmp_path)
    (tmp_path / "EXIT").touch()
    assert process.wait(DEADLINE) == 0
    assert "to continue" in last_line(tmp_path)
    assert_ended_with_restart(tmp_path)


def test_driver_that_is_there_first_changes_nothing(tmp_path, undisturbed):
    write(tmp_path, CASE)
    command = [*HALFKICK, "serve", "input.xml", "--journal", "journal.jsonl"]
    driver = start(command, tmp_path, "driver.log")
    deadline = time.monotonic() + DEADLINE
    while not (tmp_path / "journal.jsonl").exists():  # from then on it knocks
        assert time.monotonic() < deadline, (tmp_path / "driver.log").read_text()
        time.sleep(0.02)
    ipi = start([*IPI, "input.xml"], tmp_path, "i-pi.log")
    assert [ipi.wait(DEADLINE), driver.wait(DEADLINE)] == [0, 0]
    assert same(tmp_path, undisturbed)


def test_connections_beyond_the_slots_are_served(tmp_path):
    """i-PI lets two wait, nine come to each force field."""
    case = Case("pile", strides=(1, 2), steps=6, beads=9, extra="<slots> 2 </slots>")
    simulate(tmp_path, case)
    assert steps_written(tmp_path) == list(range(7))


FULL = """
set -e
mount -t tmpfs -o size=160k tmpfs {folder}
cp -r {source}/. {folder}
cd {folder}
code=0; {run} > {out}/run.log 2>&1 || code=$?
cp -r . {out}
mount -o remount,size=20M {folder}
steps=$(awk '$1 > max {{ max = $1 }} END {{ print max + 20 }}' simulation.out)  # the last is cut
{run} --restart --steps $steps > {out}/again.log 2>&1
cp simulation.out {out}
exit $code
"""


needs_disk = pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"]).returncode != 0,
    reason="needs a file system of its own",
)


@needs_disk
def test_full_disk_ends_the_run_and_room_lets_it_go_on(tmp_path):
    """The run ends with one line; with room it goes on from the checkpoint that was whole."""
    folders = {name: tmp_path / name for name in ("source", "folder", "out")}
    for path in folders.values():
        path.mkdir()
    xml = write(folders["source"], ENDLESS)
    text = xml.read_text().replace(f"{folders['source']}/", f"{folders['folder']}/")
    both = "<checkpoint stride='10'/> <checkpoint filename='other' stride='15'/>"
    text = text.replace("<checkpoint stride='100000'/>", both)
    xml.write_text(text.replace("safe_stride='1000'", "safe_stride='1'"))
    script = FULL.format(run=" ".join(RUN), **folders)
    done = subprocess.run(["unshare", "-rm", "bash", "-c", script], env=ENVIRONMENT, timeout=300)
    out = folders["out"]
    assert done.returncode == 1, (out / "run.log").read_text() + (out / "again.log").read_text()
    assert "Traceback" not in (out / "run.log").read_text()
    assert "No space left on device" in last_line(out)
    assert "finished" in (out / "again.log").read_text()
    steps = steps_written(out)
    assert steps == list(range(steps[-1] + 1))


MUTE = """
set -e
mount -t tmpfs -o size=128k tmpfs {folder}
cd {folder}
{fill}
{python} - <<'END'
import sys
from pathlib import Path
from halfkick.driver.run.processes import Child

child = Child("i-PI", [sys.executable, "-c", "raise RuntimeError('I say why')"], Path("log"))
child.wait(180)
print(child.ending())
END
"""


@needs_disk
@pytest.mark.parametrize("is_full", [True, False])
def test_log_that_found_no_room_is_told_from_one_that_did(tmp_path, is_full):
    """What a process says last is lost on a full disk, and with it the reason."""
    fill = "head -c 1M /dev/zero > filling 2> /dev/null || true" if is_full else ""
    script = MUTE.format(folder=tmp_path, python=sys.executable, fill=fill)
    command = ["unshare", "-rm", "bash", "-c", script]
    said = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert ("No space left on device" in said.stdout) == is_full
    assert ("I say why" in said.stdout) != is_full


def test_undisturbed_run_has_all_steps(undisturbed):
    assert steps_written(undisturbed) == list(range(301))
    assert np.isfinite(properties(undisturbed)["conserved"]).all()
