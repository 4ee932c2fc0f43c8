"""What a model cannot compute is refused: charges, spins, cells that do not go on."""

from __future__ import annotations

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from checked import NPT, accepts, given, ion, refuses
from toy import Toy

from halfkick.driver.commands.check import check
from halfkick.models.distill.inputs import read_starts
from halfkick.models.distill.store import state_of
from halfkick.models.errors import DataError
from halfkick.models.frames import read_frames_for
from halfkick.models.load import load_model


def with_charges(*charges: float) -> Atoms:
    found = ion()
    found.set_initial_charges(charges)
    return found


def with_moments(*moments: float) -> Atoms:
    found = ion()
    found.set_initial_magnetic_moments(moments)
    return found


CHARGED = [
    (ion(charge=1), "charge=1"),
    (ion(Charge=-1.0), "charge=-1"),
    (ion(total_charge=2), "total_charge=2"),
    (ion(spin=2), "spin=2"),
    (ion(spin=1), "spin=1"),  # eleven electrons: one unpaired
    (ion(multiplicity=2), "multiplicity=2"),
    (with_charges(0.2, 0.2, 0.2, 0.2, 0.2), "initial_charges of +1 in all"),
    (with_moments(1, -1, 0, 0, 0), "initial_magmoms up to 1"),
]

NEUTRAL = [
    ion(charge=0, spin=0, multiplicity=1),
    ion(charge="unknown", spin=None),
    with_charges(-0.4, 0.1, 0.1, 0.1, 0.1),
    with_moments(0, 0, 0, 0, 0),
    Atoms("OH2", np.eye(3), cell=[9, 9, 9], info={"spin": 1}),  # ten electrons: the multiplicity
]


@pytest.mark.parametrize(("structure", "word"), CHARGED, ids=[word for _, word in CHARGED])
def test_a_charged_or_magnetic_template_is_refused(tmp_path, structure, word):
    refuses(given(tmp_path, structure, model="water"), word, "init.xyz")
    silent = ion()
    refuses(given(tmp_path, structure, template=silent, model="water"), word, "init.xyz")
    told = given(tmp_path, structure, model="water", role="conservative, charge: 0, spin: 1")
    if "initial_magmoms" not in structure.arrays:
        accepts(told)


@pytest.mark.parametrize("structure", NEUTRAL)
@pytest.mark.parametrize("model", ["water", "tblite:GFN2-xTB", "python:toy:toy"])
def test_partial_charges_and_closed_shells_are_taken(tmp_path, structure, model):
    accepts(given(tmp_path, structure, model=model))


@pytest.mark.parametrize(
    ("told", "start", "template", "words"),
    [
        ("", ion(charge=1), ion(charge=1), ()),
        ("", ion(charge=1), ion(), ("charge=1", "got none")),
        (", charge: 1", ion(charge=1), ion(), ()),
        ("", ion(charge=1), ion(charge=-1), ("charge=1", "got -1")),
        ("", ion(), ion(charge=-1), ()),
        ("", ion(spin=2), ion(), ("spin=2", "got none")),
        (", spin: 2", ion(spin=2), ion(), ()),
        (", spin: 0", ion(), ion(), ("multiplicity", "got '0'")),
        (", charge: two", ion(), ion(), ("elementary charges", "got 'two'")),
    ],
)
def test_start_and_template_are_of_one_charge_and_spin(tmp_path, told, start, template, words):
    role = f"conservative{told}"
    source = given(tmp_path, start, template=template, model="tblite:GFN2-xTB", role=role)
    refuses(source, *words) if words else accepts(source)


def test_a_charge_that_the_model_is_told_is_taken(tmp_path):
    told = "tblite:GFN2-xTB?charge=1"
    accepts(given(tmp_path, ion(charge=1), model=told))
    refuses(given(tmp_path, ion(charge=2), model=told), "charge=2", "init.xyz")
    accepts(given(tmp_path, ion(spin=1), model="tblite:GFN2-xTB?multiplicity=2"))


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False)])
@pytest.mark.parametrize(
    "moves",
    [
        {"how": NPT},
        {"how": "<dynamics mode='nst'/>"},
        {"motion": "cellopt", "how": ""},
    ],
    ids=["npt", "nst", "cellopt"],
)
def test_a_cell_that_moves_needs_three_periodic_directions(tmp_path, pbc, moves):
    refuses(given(tmp_path, slab(pbc), **moves), " ".join("FT"[p] for p in pbc))
    accepts(given(tmp_path, slab(pbc)))
    accepts(given(tmp_path, slab((True, True, True)), **moves))


def slab(pbc: tuple[bool, ...]) -> Atoms:
    return Atoms("H2", [[0, 0, 4], [1, 0, 4]], cell=[5, 5, 9], pbc=pbc)


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False)])
def test_atoms_are_not_wrapped_where_nothing_is_periodic(tmp_path, pbc):
    wraps = "pbc=' True '"
    refuses(given(tmp_path, slab(pbc), attributes=wraps), "pbc='false'", "'f'")
    accepts(given(tmp_path, slab(pbc)))
    accepts(given(tmp_path, slab((True, True, True)), attributes=wraps))


def test_ipi_wraps_no_atoms_unless_it_is_told():
    from ipi.inputs.forcefields import InputFFSocket

    assert InputFFSocket.attribs["pbc"][1]["default"] is False


def test_tblite_takes_no_slabs(tmp_path):
    refuses(given(tmp_path, slab((True, True, False)), model="tblite:GFN2-xTB"), "T T F")
    accepts(given(tmp_path, slab((True, True, True)), model="tblite:GFN2-xTB"))
    accepts(given(tmp_path, slab((False, False, False)), model="tblite:GFN2-xTB"))


@pytest.mark.parametrize("model", ["python:toy:toy", "ase:ase.calculators.emt:EMT"])
def test_frames_of_a_charge_that_models_do_not_compute_are_refused(tmp_path, model):
    path = tmp_path / "frames.xyz"
    ase.io.write(path, [ion(), ion(charge=1)])
    loaded = load_model(model)
    for read in (
        lambda: read_starts([path], [loaded]),
        lambda: check(model, f"{path}@:", dynamics=0),
        lambda: check("python:toy:toy", f"{path}@1", direct=model, dynamics=0),
    ):
        with pytest.raises(DataError, match=r"got charge=1.*frames.xyz|frames.xyz.*got charge=1"):
            read()
    assert len(read_frames_for(path, "0", models=[loaded])) == 1


def test_starts_are_of_one_charge_each(tmp_path):
    """A student is told of none, so that a composition can have one only."""
    path, other = tmp_path / "frames.xyz", tmp_path / "other.xyz"
    ase.io.write(path, [ion(charge=1), ion(charge=1)])
    ase.io.write(other, [ion(charge=0)])
    teacher = Toy()
    teacher.capabilities = replace(teacher.capabilities, inputs=frozenset({"charge"}))
    assert [state_of(atoms) for atoms in read_starts([path], [teacher])] == [(1.0, 1)] * 2
    with pytest.raises(DataError, match="charge 1, multiplicity 1 and charge 0"):
        read_starts([path, other], [teacher])
