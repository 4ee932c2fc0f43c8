"""What ``halfkick run`` says of a run that i-PI ends before its steps do, well or not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.vibrations import Vibrations
from running import run, summary
from simulation import Case, write
from toy import Toy, atoms

from halfkick.driver.run.outcome import Ending
from halfkick.driver.run.processes import last_error
from halfkick.models.base import Role, Structure

pytestmark = pytest.mark.usefixtures("nothing_outlives_the_test")

MINIMIZE = """<motion mode='minimize'> <optimizer mode='bfgs'> <tolerances>
  <energy> 1e-4 </energy> <force> 1e-2 </force> <position> 1e-1 </position> </tolerances>
  </optimizer> </motion>"""
VIBRATIONS = """<motion mode='vibrations'> <vibrations mode='fd'> <pos_shift> 0.01 </pos_shift>
  <prefix> ph </prefix> <asr> none </asr> </vibrations> </motion>"""


def prepare(folder: Path, motion: str, steps: int = 200) -> Path:
    """One force field alone, and another motion."""
    xml = write(folder, Case(roles=("conservative",), strides=(1,), steps=steps))
    text = re.sub(r"<motion.*</motion>", motion, xml.read_text(), flags=re.DOTALL)
    xml.write_text(text.replace("step, time{picosecond}, ", "step, "))
    return xml


class ToyCalculator(Calculator):
    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        structure = Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
        (results,) = Toy().evaluate([structure], frozenset({Role.CONSERVATIVE}))
        result = results[Role.CONSERVATIVE]
        self.results = {"energy": result.energy, "forces": result.forces}


def test_minimisation_that_converged_is_finished_with_what_it_found(tmp_path):
    prepare(tmp_path, MINIMIZE)
    code, out, err = run(tmp_path)
    assert (code, err) == (0, "")
    result = summary(tmp_path)
    assert result["state"] == "finished" and 0 < result["steps"] < 200
    found = result["found"]
    assert found["message"] == "Geometry optimization converged. Exiting simulation"
    rows = np.loadtxt(tmp_path / "simulation.out")
    assert found["energy_eV"] == pytest.approx(rows[-1, 3], abs=1e-9) and rows[-1, 3] < rows[0, 3]
    assert 0.0 < found["max_force_eV_per_A"] < 1e-2 * units.Hartree / units.Bohr
    assert "converged" in out and f"energy: {found['energy_eV']:.6f} eV" in out
    assert "largest force" in out and "to continue" not in out


def test_vibrations_are_finished_with_the_frequencies_of_ase(tmp_path):
    prepare(tmp_path, VIBRATIONS)
    code, out, err = run(tmp_path)
    assert (code, err) == (0, "") and "to continue" not in out
    assert summary(tmp_path)["state"] == "finished"
    found = summary(tmp_path)["found"]["frequencies_per_cm"]
    start = atoms()
    start.calc = ToyCalculator()
    vibrations = Vibrations(start, name=str(tmp_path / "vib"), delta=0.005)
    vibrations.run()
    squares = np.linalg.eigvalsh(hessian_by_mass(vibrations, start))
    expected = np.sign(squares) * np.sqrt(np.abs(squares)) * units._hbar * 1e10
    expected *= np.sqrt(units._e / units._amu) / units._e / units.invcm
    np.testing.assert_allclose(found, expected, rtol=2e-2, atol=20.0)


def hessian_by_mass(vibrations: Vibrations, atoms: Atoms) -> np.ndarray:
    hessian = vibrations.get_vibrations().get_hessian_2d()
    roots = np.repeat(atoms.get_masses() ** -0.5, 3)
    return roots[:, None] * hessian * roots


SAID = {
    "!W! Soft exit has been requested with message: 'NEB finished. I-PI reports success. "
    "Restartable as is: NO.'. Cleaning up.": (True, False),
    "@softexit.trigger:  SOFTEXIT CALLED FROM THREAD <_MainThread(MainThread, started 1)> "
    "Geometry optimization converged. Exiting simulation\n": (True, False),
    "Soft exit has been requested with message: ' @ SIMULATION: Exiting cleanly. I-PI reports "
    "success. Restartable as is: NO.'.": (False, False),
    "Soft exit has been requested with message: ' @SOFTEXIT: Kill signal received Restartable "
    "as is: YES.'.": (False, False),
    "Soft exit has been requested with message: ' @SCP: Reached maximum iterations. I-PI reports "
    "a problem. Restartable as is: NO.'.": (False, True),
    "nothing": (False, False),
}


@pytest.mark.parametrize("said", SAID)
def test_how_ipi_ended_is_read_from_its_words(said):
    ending = Ending.read(f"before\n{said}\n @interfacesocket.close: after\n")
    assert (ending.is_of_motion, ending.is_problem) == SAID[said]


def test_last_error_of_a_log_is_one_line():
    log = (
        "Traceback (most recent call last):\n  File 'a'\nKeyError: 'first'\n\nDuring …\n\n"
        "Traceback (most recent call last):\n  File 'b'\n    raise\n"
        "ValueError: bad input\nin two lines\n @softexit: more\n !W! and more\n"
    )
    assert last_error(log) == "ValueError: bad input in two lines"
    assert last_error("no error\n") is None


def test_error_of_ipi_is_shown_and_nothing_is_to_continue(tmp_path):
    xml = write(tmp_path, Case(steps=20))
    xml.write_text(xml.read_text().replace("potential{", "nonsense{"))
    code, out, err = run(tmp_path)
    assert code == 1 and err.count("\n") == 1
    assert "KeyError: 'nonsense is not a recognized property'" in err
    assert "killed" not in err and "to continue" not in out


def test_run_without_properties_tells_steps(tmp_path):
    xml = write(tmp_path, Case(steps=4))
    xml.write_text(re.sub(r"<properties.*</properties>", "", xml.read_text(), flags=re.DOTALL))
    code, out, err = run(tmp_path)
    assert code == 0
    assert err.count("\n") == 1 and "no properties with 'step'" in err
    assert "finished: 4 steps" in out and summary(tmp_path)["steps"] == 4
