"""What would be computed wrongly is not begun, and ends where it shows only while it runs."""

from __future__ import annotations

from pathlib import Path

import ase.io
import pytest
from running import assert_nothing_left, finish, halfkick, run, steps_written, summary
from simulation import DIRECT, HELPERS, Case, write

from halfkick.driver.ipi.input import IpiInput

pytestmark = pytest.mark.usefixtures("nothing_outlives_the_test")


def left_handed(folder: Path) -> None:
    structure = ase.io.read(folder / "init.xyz")
    structure.cell[:] = structure.cell.array[[1, 0, 2]]
    ase.io.write(folder / "init.xyz", structure)


@pytest.mark.parametrize("command", ["run", "serve"])
def test_refused_input_leaves_the_folder_as_it_is(tmp_path, command):
    write(tmp_path, Case("npt", steps=2))
    left_handed(tmp_path)
    (tmp_path / "simulation.out").write_text("of an earlier run\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    code, out, err = finish(halfkick(tmp_path, command, "input.xml"))
    assert code == 2 and not out
    (line,) = err.splitlines()
    assert "order b, a, c" in line
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("steps", [100000, 6], ids=["while it runs", "at its end"])
def test_energy_that_is_no_number_ends_the_run(tmp_path, steps):
    """The forces are well and i-PI goes on; the twin's energy is zero for all of its steps."""
    path = write(tmp_path, Case(roles=("conservative",), strides=(1,), steps=steps))
    other = DIRECT.format(name="nan", pes=HELPERS / "nan_pes.py", parameters="after: AFTER")
    text = path.read_text().replace("<ffsocket", other + "<ffsocket", 1)
    text = text.replace("<forces>", "<forces> <force forcefield='nan'/>")
    path.write_text(text.replace("AFTER", "5"))
    code, out, err = run(tmp_path)
    assert code == 1
    (line,) = (line for line in err.splitlines() if "error" in line)
    assert "got conserved nan at step" in line
    assert "drift" not in out.splitlines()[-1]
    assert summary(tmp_path)["state"] == "failed"
    assert IpiInput.read(tmp_path / "RESTART").systems  # of the last step that was kept
    assert_nothing_left(tmp_path)
    if steps == 6:
        path.write_text(text.replace("AFTER", "100"))
        code, _, err = run(tmp_path)
        assert code == 0 and max(steps_written(tmp_path)) == 6, err
