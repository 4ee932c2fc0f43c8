"""What is read from i-PI's properties, and cut off its outputs."""

from __future__ import annotations

import numpy as np
import pytest
from ipi.utils.units import unit_to_internal
from properties_file import HEADER, ROWS

from halfkick.driver.ipi.properties import read_last, read_properties
from halfkick.driver.ipi.truncate import truncate
from halfkick.driver.server.units import HARTREE


@pytest.mark.parametrize("n", range(4))
def test_properties_have_columns_and_units(tmp_path, n):
    path = tmp_path / "out"
    path.write_text(HEADER + "".join(ROWS[:n]))
    rows = read_properties(path)
    assert len(rows) == n
    assert rows.potential is None
    if n:
        assert rows.step.tolist() == [0, 2, 4][:n]
        np.testing.assert_allclose(rows.time, [0.0, 0.004, 0.008][:n])
        np.testing.assert_allclose(rows.conserved, np.array([1, 1.5, 2])[:n] * HARTREE)
        last = read_last(path)
        assert (last.step[0], last.temperature[0]) == (rows.step[-1], rows.temperature[-1])


@pytest.mark.parametrize("unit", ["kilocal/mol", "millielectronvolt", "electronvolt", ""])
def test_properties_units_are_those_of_ipi(tmp_path, unit):
    """Whatever the header says; those that the scenarios write are known without i-PI."""
    header = f"# column   1     --> potential{f'{{{unit}}}' * bool(unit)} : In some unit.\n"
    (tmp_path / "out").write_text(header + " 1.5\n")
    (values,) = read_properties(tmp_path / "out").potential
    expected = 1.5 * unit_to_internal("energy", unit, 1.0) * HARTREE
    assert values == pytest.approx(expected, rel=1e-12)


def test_properties_leave_a_line_that_is_being_written(tmp_path):
    path = tmp_path / "out"
    for end in range(len(HEADER), len(HEADER) + len(ROWS[0] + ROWS[1])):
        text = (HEADER + ROWS[0] + ROWS[1])[:end]
        path.write_text(text)
        complete = text.count("\n") - HEADER.count("\n")
        assert len(read_properties(path)) == complete
        assert len(read_last(path)) == min(complete, 1)


def test_properties_without_a_file_have_no_rows(tmp_path):
    assert len(read_properties(tmp_path / "nothing")) == len(read_last(None)) == 0


def test_truncate_cuts_properties_at_a_step(tmp_path):
    path = tmp_path / "out"
    for torn in ("", "  6  12"):
        path.write_text(HEADER + "".join(ROWS) + torn)
        truncate(path, 2)
        assert path.read_text() == HEADER + "".join(ROWS[:2])
    truncate(path, 2)
    assert path.read_text() == HEADER + "".join(ROWS[:2])


def test_truncate_cuts_trajectories_at_a_step(tmp_path):
    path = tmp_path / "positions_0.extxyz"
    frames = [f'2\nipi_comment="Step:  {step}  Bead: 0"\nH 0 0 0\nH 0 0 1\n' for step in (0, 5, 10)]
    for torn in ("", "2\nStep: 15", "2\nStep: 15\nH 0 0 0\nH 0"):
        path.write_text("".join(frames) + torn)
        truncate(path, 9)
        assert path.read_text() == "".join(frames[:2])


def test_truncate_leaves_what_cannot_be_cut(tmp_path):
    path = tmp_path / "out"
    for text in ("# column   1     --> potential : Without a step.\n 1.0\n 2.0\n", "anything", ""):
        path.write_text(text)
        assert truncate(path, 0) == (not text)
        assert path.read_text() == text
