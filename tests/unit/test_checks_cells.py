"""Cells that i-PI reads wrongly are refused, the others are as it has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checked import TRICLINIC, UPRIGHT, accepts, crystal, given, refuses
from ipi.engine.cell import Cell
from ipi.utils.io import read_file

from halfkick.driver.ipi.initial_state import Start, StructureFiles
from halfkick.driver.server.units import BOHR

TURNED = np.array([[4.7, 1.71, 0.0], [-1.71, 4.7, 0.0], [0.0, 0.0, 9.0]])


@pytest.mark.parametrize(
    ("structure", "word"),
    [
        (crystal(TRICLINIC[[1, 0, 2]]), "order b, a, c"),
        (crystal(-np.eye(3) * 5), "order b, a, c"),
        (crystal(UPRIGHT * [1, 1, -1], pbc=[True, True, False]), "order b, a, c"),
        (crystal(TURNED, pbc=[True, True, False]), "xy plane"),
        (crystal(TURNED, pbc=False), "xy plane"),
        (crystal([5, 5, 0], pbc=[True, True, False]), "with a volume"),
        (crystal(None, pbc=False), "expected a cell"),
    ],
)
def test_cells_that_ipi_gets_wrong_are_refused(tmp_path, structure, word):
    refuses(given(tmp_path, structure), word, "'init.xyz'")


@pytest.mark.parametrize(
    "structure",
    [
        crystal(TRICLINIC),
        crystal(TRICLINIC[[1, 2, 0]]),  # right-handed as well
        crystal(TURNED),  # i-PI turns what is periodic
        crystal(UPRIGHT, pbc=[True, True, False]),
        crystal(UPRIGHT + 1e-9, pbc=False),
    ],
)
def test_cells_that_ipi_gets_right_are_as_ipi_has_them(tmp_path, structure):
    source = given(tmp_path, structure)
    accepts(source)
    cell, _ = Start(source.systems[0], StructureFiles(tmp_path)).cell
    own = ipis_cell("ase", tmp_path / "init.xyz")
    np.testing.assert_allclose(cell, np.array(own.h) * BOHR, atol=1e-6)
    volume = abs(np.linalg.det(structure.cell.array))
    assert volume == pytest.approx(own.V * BOHR**3, rel=1e-6)


def ipis_cell(mode: str, path: Path) -> Cell:
    with path.open() as file:
        return read_file(mode, file, dimension="length")["cell"]


@pytest.mark.parametrize(
    ("comment", "cell", "word"),
    [
        ("# CELL(abcABC): 5 6 7 80 90 70", "", None),
        ("# CELL(H): 5 1 0 0 6 1 0 0 7", "", None),
        ("# CELL(H): 5 0 0 1 6 0 0 1 7", "", "xy plane"),
        ("# CELL(H): 5 0 0 0 6 0 0 0 -7", "", "order b, a, c"),
        ("# CELL(GENH): 1 5 0 6 1 0 0 0 7", "", None),  # turned, and its atoms with it
        ("no cell", "", "expected a cell"),
        ("no cell", "<cell mode='abc'> [5, 6, 7] </cell>", None),
        ("no cell", "<cell mode='abcABC'> [5, 6, 7, 80, 90, 70] </cell>", None),
        ("no cell", "<cell> [5, 1, 0, 0, 6, 1, 0, 0, 7] </cell>", None),
        ("no cell", "<cell mode='manual'> [5, 0, 0, 1, 6, 0, 0, 1, 7] </cell>", "xy plane"),
        ("# CELL(H): 5 0 0 1 6 0 0 1 7", "<cell mode='abc'> [5, 6, 7] </cell>", None),
    ],
)
def test_cells_of_ipis_own_files_are_read_as_it_does(tmp_path, comment, cell, word):
    start = f"<file mode='xyz'> plain.xyz </file> {cell}"
    source = given(tmp_path, crystal(5 * np.eye(3)), start=start)
    (tmp_path / "plain.xyz").write_text(f"2\n{comment}\nH 0 0 0\nH 0 0 1\n")
    if word is not None:
        refuses(source, word)
        return
    accepts(source)
    if not cell:
        found, _ = Start(source.systems[0], StructureFiles(tmp_path)).cell
        own = ipis_cell("xyz", tmp_path / "plain.xyz")
        np.testing.assert_allclose(found, np.array(own.h), atol=1e-9)
