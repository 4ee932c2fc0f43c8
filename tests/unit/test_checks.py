"""Inputs that i-PI accepts and computes wrongly are refused at the start, their twins are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from checked import REMD, accepts, given, molecule, refuses
from simulation import Case, write
from toy import atoms

from halfkick.driver.ipi.checks import check_input
from halfkick.driver.ipi.input import IpiInput


def test_strides_that_ipi_ignores_are_refused(tmp_path):
    for mode, nmts in (("nvt-cc", "[1, 4]"), ("nvt-cc", "[2]")):
        how = f"<dynamics mode='{mode}'> <nmts> {nmts} </nmts> </dynamics>"
        refuses(given(tmp_path, molecule("OH"), how=how), "<nmts>")
    for how in (
        "<dynamics mode='nvt-cc'/>",
        "<dynamics mode='nvt'> <nmts> [1, 4] </nmts> </dynamics>",
    ):
        accepts(given(tmp_path, molecule("OH"), how=how))
    driven = "<driven_dynamics mode='eda-nve'> <nmts> %s </nmts> </driven_dynamics>"
    refuses(given(tmp_path, molecule("OH"), motion="driven_dynamics", how=driven % "[2]"), "field")
    accepts(given(tmp_path, molecule("OH"), motion="driven_dynamics", how=driven % "[1, 2]"))


@pytest.mark.parametrize(
    "use",
    [{"smotion": REMD}, {"smotion": f"<smotion mode='multi'> {REMD} </smotion>"}]
    + [{"motion": mode, "how": ""} for mode in ("minimize", "atomswap", "instanton", "neb")],
    ids=["remd", "multi", "minimize", "atomswap", "instanton", "neb"],
)
def test_energies_are_there_where_they_decide(tmp_path, use):
    refuses(given(tmp_path, molecule("OH"), role="direct", **use), "energy: model", "'f'")
    accepts(given(tmp_path, molecule("OH"), role="direct, energy: model", **use))
    accepts(given(tmp_path, molecule("OH"), **use))
    accepts(given(tmp_path, molecule("OH"), role="direct"))
    accepts(given(tmp_path, molecule("OH"), role="direct", motion="vibrations", how=""))
    cancels = "<force forcefield='f'> <mts_weights> [-1, 1] </mts_weights> </force>"
    accepts(given(tmp_path, molecule("OH"), role="direct", forces=cancels, **use))


@pytest.mark.parametrize(
    ("weights", "lacks"),
    [
        ((("[0, 1]", 1.0), ("[1, 0]", -1.0)), False),
        ((("[1, 1]", 0.5), ("[-1, -1]", 1.0)), True),
        ((("[1, 1]", 0.5), ("[-1, 0]", 1.0)), False),
        ((("[1, 1]", 0.0),), False),
    ],
)
def test_weight_of_a_force_is_its_attribute(tmp_path, weights, lacks):
    """Of i-PI's potential, to which a component adds its weight times the sum of its levels."""
    from ipi.inputs.forces import InputForceComponent

    assert "weight" in InputForceComponent.attribs and "weight" not in InputForceComponent.fields
    forces = "".join(
        f"<force forcefield='f' weight='{weight}'> <mts_weights> {levels} </mts_weights> </force>"
        for levels, weight in weights
    )
    source = given(tmp_path, molecule("OH"), role="direct", forces=forces)
    assert (source.without_energy == "f") is lacks


@pytest.mark.parametrize("around", ["ffcommittee", "ffrotations"])
def test_missing_energies_are_noticed_inside_of_others(tmp_path, around):
    path = given(tmp_path, molecule("OH"), role="direct").path
    text = path.read_text().replace("forcefield='f'", "forcefield='all'")
    text = text.replace("<ffsocket", f"<{around} name='all'> <ffsocket")
    path.write_text(text.replace("</ffsocket>", f"</ffsocket> </{around}>"))
    assert IpiInput.read(path).without_energy == "all"
    path.write_text(path.read_text().replace("role: direct", "role: direct, energy: model"))
    assert IpiInput.read(path).without_energy is None


def test_runs_of_the_tests_are_accepted(tmp_path):
    path = write(tmp_path, Case("npt"))
    check_input(IpiInput.read(path), tmp_path)
    assert atoms().cell.handedness > 0


def test_scenarios_are_accepted():
    from importlib.resources import files

    inputs = [Path(str(folder / "input.xml")) for folder in files("halfkick.ipi_inputs").iterdir()]
    inputs = [path for path in inputs if path.is_file()]
    assert inputs
    for path in inputs:
        check_input(IpiInput.read(path), path.parent)
