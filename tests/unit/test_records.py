"""i-PI's outputs are cut by their own formats: written here by i-PI's own writers, read by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ipi.engine.atoms import Atoms
from ipi.engine.cell import Cell
from ipi.utils.io import print_file, read_file

from halfkick.driver.ipi.records import EXCHANGES, Clock
from halfkick.driver.ipi.truncate import last_step, truncate

STEPS = (0, 5, 10, 15)
SUFFIX = {"ase": "extxyz"}


def frames(mode: str, folder: Path) -> list[bytes]:
    """What i-PI writes of each step."""
    atoms, cell = Atoms(3), Cell()
    atoms.names[:] = ["H", "Li", "H"]
    cell.h = 10.0 * np.eye(3)
    written = []
    for step in STEPS:
        atoms.q[:] = np.arange(9) + 0.1 * step
        path = folder / "one"
        with path.open("w") as file:
            title = f"Step:  {step:10d}  Bead:   {0:5d} "
            print_file(mode, atoms, cell, file, title=title, key="positions", dimension="length")
        written.append(path.read_bytes())
    return written


@pytest.mark.parametrize("torn", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("mode", ["xyz", "ase", "pdb", "json", "bin"])
def test_trajectories_of_all_formats_are_cut_at_a_step(tmp_path, mode, torn):
    written = frames(mode, tmp_path)
    path = tmp_path / f"pos_0.{SUFFIX.get(mode, mode)}"
    path.write_bytes(b"".join(written[:3]) + written[3][: int(torn * len(written[3]))])
    assert last_step(path) == 10
    assert truncate(path, 9)
    assert path.read_bytes() == b"".join(written[:2])
    if mode in ("xyz", "pdb", "json"):
        with path.open() as file:
            found = [read_file(mode, file)["atoms"].q for _ in range(2)]
        np.testing.assert_allclose(found[1] - found[0], 0.5, atol=2e-3 if mode == "pdb" else 1e-6)


ROWS = {
    "step": ("# column   1     --> step : the step\n", [f" {s:.8e}\n" for s in STEPS]),
    "time": (
        "# column   1     --> potential : energy\n# column   2     --> time{femtosecond} : time\n",
        [f" 1.0  {0.5 * s:.8e}\n" for s in STEPS],
    ),
    "neither": ("# column   1     --> potential : energy\n", [f" {s}.5\n" for s in STEPS]),
}


@pytest.mark.parametrize("torn", ["", " 2.0000"])
@pytest.mark.parametrize("told", ROWS)
def test_properties_are_cut_by_step_by_time_or_by_their_number(tmp_path, told, torn):
    header, rows = ROWS[told]
    path = tmp_path / "out"
    path.write_text(header + "".join(rows) + torn)
    assert truncate(path, 9, "properties", Clock(5, 0.5))
    assert path.read_text() == header + "".join(rows[:2])


@pytest.mark.parametrize(
    "text",
    [
        " 1.0\n 2.0\n",  # no header: it did not begin with step 0
        ROWS["time"][0] + " 1.0  0.1\n 1.0  0.2\n",  # of another time step
        "anything",
    ],
)
def test_rows_that_do_not_tell_their_steps_stay(tmp_path, text):
    path = tmp_path / "out"
    path.write_text(text)
    assert last_step(path, "properties", Clock(5, 0.5)) is None
    assert not truncate(path, 0, "properties", Clock(5, 0.5))
    assert path.read_text() == text


def test_frames_that_do_not_tell_their_steps_stay(tmp_path):
    path = tmp_path / "pos.xyz"
    path.write_text("1\nStep: 0\nH 0 0 0\n1\nsome frame\nH 0 0 0\n")
    assert last_step(path) is None and not truncate(path, 0)
    assert path.read_text().count("H") == 2


def test_extras_are_cut_at_a_step(tmp_path):
    written = [f" #EXTRAS(raw)# Step:  {s:10d} \n{{'a': {s}}}\nmore\n" for s in STEPS]
    path = tmp_path / "o.extras_0"
    path.write_text("".join(written) + " #EXTR")
    assert truncate(path, 9)
    assert path.read_text() == "".join(written[:2])


def test_exchanges_are_cut_with_the_step_in_which_they_are_made(tmp_path):
    """i-PI notes the exchange after 6 steps as of step 5."""
    rows = [f"{s:10d}     0     1\n" for s in range(4, 8)]
    path = tmp_path / "o.remd_idx"
    path.write_text("".join(rows) + "         8   ")
    assert truncate(path, 6, EXCHANGES)
    assert path.read_text() == "".join(rows[:2])
    assert truncate(path, 3, EXCHANGES) and path.read_bytes() == b""
