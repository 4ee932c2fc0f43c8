"""What is read from an i-PI input, and what a force field makes of it."""

from __future__ import annotations

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase.calculators.emt import EMT
from ipi.utils.units import unit_to_internal
from simulation import Case, write
from toy import Toy, atoms

from halfkick.driver.errors import InputError
from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.ipi.sockets import parse_parameters, served_sockets
from halfkick.driver.ipi.transport import TRANSPORTS, Address
from halfkick.driver.server.force_field import ForceField
from halfkick.driver.server.template import read_template
from halfkick.driver.server.units import BOHR, HARTREE
from halfkick.driver.server.wire.messages import Request
from halfkick.models.backends.ase import AseModel
from halfkick.models.base import Role
from halfkick.models.errors import DataError, ModelError

PARAMETERS = {"model": "toy", "role": "direct", "template": "init.xyz"}


@pytest.mark.parametrize(
    "text",
    [
        "{model: a.pt?x=1, role: direct , flag: True}",
        " model : a.pt?x=1 , role : direct , flag : True , ",
        "{ model:a.pt?x=1,role:direct,flag:True }",
    ],
)
def test_parameters_are_read_as_in_the_xml_and_as_in_init(text):
    assert parse_parameters(text) == {"model": "a.pt?x=1", "role": "direct", "flag": "True"}


def test_parameters_let_a_model_hold_colons():
    assert parse_parameters("{model: ase:m:f?a=b:c}") == {"model": "ase:m:f?a=b:c"}


def test_parameters_need_a_colon():
    with pytest.raises(InputError, match="expected 'key: value'"):
        parse_parameters("{model}")


@pytest.mark.parametrize(
    ("case", "connections", "needs_virial"),
    [
        (Case(), 1, False),
        (Case("pile", beads=4), 4, False),
        (Case("pile", beads=4, batch=4), 1, False),
        (Case("npt"), 1, True),
    ],
)
def test_input_gives_the_addresses(tmp_path, case, connections, needs_virial):
    source = IpiInput.read(write(tmp_path, case))
    assert [s.address.path for s in source.sockets] == [
        f"{tmp_path}/conservative",
        f"{tmp_path}/direct",
    ]
    assert {s.connections for s in source.sockets} == {connections}
    assert source.sockets[1].parameters["role"] == "direct"
    assert source.needs_virial is needs_virial
    assert (source.inner_steps, source.replicas) == (4, case.beads)


@pytest.mark.parametrize(
    ("edit", "shows"),
    [
        (("", ""), False),
        (("step,", "step, pressure_md{megapascal},"), True),
        (("positions{ase}", "positions{ase} </trajectory> <trajectory> stress_md"), True),
        (("<motion mode='dynamics'>", "<motion mode='instanton'>"), True),
    ],
    ids=["nve", "pressure", "stress", "another motion"],
)
def test_input_tells_whether_the_virial_shows(tmp_path, edit, shows):
    path = write(tmp_path, Case())
    path.write_text(path.read_text().replace(*edit))
    assert IpiInput.read(path).shows_virial is shows


def test_endpoints_of_the_command_line_are_added_to_the_xml(tmp_path):
    source = IpiInput.read(write(tmp_path, Case()))
    given = [TRANSPORTS["inet"].parse("host:77")]
    sockets = served_sockets(source.sockets, given, "/elsewhere/", 3)
    assert sockets[0].address == Address("unix", "conservative", 0, "/elsewhere/")
    assert sockets[2].address.host == "host"
    assert sockets[2].address.port == 77
    assert {s.connections for s in sockets} == {3}


def test_endpoints_of_other_programs_are_left_to_them(tmp_path):
    path = write(tmp_path, Case())
    path.write_text(path.read_text().replace("model: python:toy:toy, role: direct", "other: 1"))
    sockets = served_sockets(IpiInput.read(path).sockets, [], None, None)
    assert [s.name for s in sockets] == ["conservative"]
    path.write_text(path.read_text().replace("model: python:toy:toy", "other: 1"))
    with pytest.raises(InputError, match="expected 'model'"):
        served_sockets(IpiInput.read(path).sockets, [], None, None)
    (alone,) = served_sockets(IpiInput().sockets, [TRANSPORTS["unix"].parse("a")], None, None)
    assert alone.parameters is None


def test_units_of_the_wire_are_those_of_ipi():
    assert 1.0 / unit_to_internal("length", "angstrom", 1.0) == BOHR
    assert 1.0 / unit_to_internal("energy", "electronvolt", 1.0) == HARTREE


def test_force_field_converts_units_and_cell_vectors(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = atoms()
    ase.io.write("init.xyz", start)
    model = Toy()
    field = ForceField(PARAMETERS, lambda spec: model, needs_virial=True)
    wire_cell = start.cell.array.T[None] / BOHR  # vectors in columns
    wire_positions = start.positions[None] / BOHR
    (structure,) = field.decode(Request(27, wire_cell, wire_positions), "s")
    assert np.allclose(structure.cell, start.cell.array, rtol=0, atol=1e-12)
    assert np.allclose(structure.positions, start.positions, rtol=0, atol=1e-12)
    assert not np.allclose(structure.cell, start.cell.array.T)  # the twin: rows and columns differ
    (results,) = model.evaluate([structure], frozenset({Role.DIRECT}))
    result = results[Role.DIRECT]
    answer = field.encode(field.collect([results]))
    assert answer.forces.shape == (1, 27, 3)
    assert np.allclose(answer.forces.sum(axis=1), 0.0, atol=1e-12)
    assert np.abs(result.forces.sum(axis=0)).max() > 1e-4  # the mean was there, and is removed
    assert np.allclose(answer.virials[0] * HARTREE, result.virial)
    assert not answer.energies.any()


def test_force_field_fills_padding_with_the_last_structure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("init.xyz", atoms())
    model = Toy()
    parameters = PARAMETERS | {"role": "conservative"}
    field = ForceField(parameters, lambda spec: model, needs_virial=True)
    cells = np.repeat(atoms().cell.array.T[None] / BOHR, 2, axis=0)
    positions = np.stack([atoms().positions, 1.01 * atoms().positions]) / BOHR
    structures = field.decode(Request(27, cells, positions), "s")
    answer = field.encode(field.collect(model.evaluate(structures, frozenset(field.roles))))
    for name in ("energies", "forces", "virials"):
        own, padded = getattr(answer, name), getattr(answer.padded(2), name)
        assert np.array_equal(padded, own[[0, 1, 1, 1]])
        assert not np.allclose(own[0], own[1])


def test_force_field_keeps_the_mean_force_if_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("init.xyz", atoms())
    model = Toy()
    field = ForceField(PARAMETERS | {"mean_force": "keep"}, lambda spec: model, False)
    cells, positions = atoms().cell.array.T[None] / BOHR, atoms().positions[None] / BOHR
    structure = field.decode(Request(27, cells, positions), "s")
    (results,) = model.evaluate(structure, frozenset({Role.DIRECT}))
    forces = field.encode(field.collect([results])).forces[0] * HARTREE / BOHR
    assert np.allclose(forces, results[Role.DIRECT].forces)


def test_force_field_serves_direct_forces_with_the_energy_if_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("init.xyz", atoms())
    model = Toy()
    plain = ForceField(PARAMETERS, lambda spec: model, False)
    field = ForceField(PARAMETERS | {"energy": "model"}, lambda spec: model, False)
    assert plain.roles == {Role.DIRECT}
    cells, positions = atoms().cell.array.T[None] / BOHR, atoms().positions[None] / BOHR
    structure = field.decode(Request(27, cells, positions), "s")
    (results,) = model.evaluate(structure, field.roles)
    answer = field.encode(field.collect([results]))
    assert np.isclose(answer.energies[0] * HARTREE, results[Role.CONSERVATIVE].energy)
    assert np.array_equal(answer.forces, plain.encode(plain.collect([results])).forces)
    assert plain.encode(plain.collect([results])).energies == 0.0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"role": ""}, InputError, "expected 'role'"),
        ({"role": "fast"}, InputError, "got 'fast'"),
        ({"template": "none.xyz"}, InputError, "no such file"),
        ({"template": "bad.xyz"}, InputError, "structures that ASE reads"),
        ({"strides": "4"}, InputError, "got 'strides'"),
        ({"mean_force": "no"}, InputError, "expected mean_force"),
        ({"template": "helium.xyz"}, ModelError, "got He"),
    ],
)
def test_force_field_refuses_wrong_parameters(tmp_path, monkeypatch, change, error, message):
    monkeypatch.chdir(tmp_path)
    ase.io.write("init.xyz", atoms())
    (tmp_path / "bad.xyz").write_text("this is no structure\n")
    (tmp_path / "helium.xyz").write_text("1\n\nHe 0 0 0\n")
    with pytest.raises(error, match=message):
        ForceField(PARAMETERS | change, lambda spec: Toy(), needs_virial=False)


def test_template_says_what_is_periodic(tmp_path):
    plain, molecule, crystal = (tmp_path / f"{n}.xyz" for n in ("plain", "molecule", "crystal"))
    plain.write_text("1\n# CELL(abcABC): 10 10 10 90 90 90\nH 0 0 0\n")
    molecule.write_text('1\npbc="F F F"\nH 0 0 0\n')
    ase.io.write(crystal, atoms())
    assert read_template(plain)[1].all()
    assert not read_template(molecule)[1].any()
    assert read_template(crystal)[1].all()


@pytest.mark.parametrize(("n_atoms", "value"), [(26, 1.0), (27, np.nan)])
def test_force_field_refuses_structures_that_cannot_be(tmp_path, monkeypatch, n_atoms, value):
    monkeypatch.chdir(tmp_path)
    ase.io.write("init.xyz", atoms())
    field = ForceField(PARAMETERS, lambda spec: Toy(), needs_virial=False)
    with pytest.raises(InputError, match=r"expected 27 atoms|expected finite positions"):
        field.decode(Request(n_atoms, np.eye(3)[None], np.full((1, n_atoms, 3), value)), "s")


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [("O D T", [8, 1, 1]), ("C13 O18 Z", [6, 8, 1]), ("h CL E", [1, 17, 0]), ("L L X", [0, 0, 0])],
)
def test_template_takes_isotopes_for_their_elements(tmp_path, labels, numbers):
    path = tmp_path / "labels.xyz"
    rows = "".join(f"{label} 0 0 {z}\n" for z, label in enumerate(labels.split()))
    path.write_text(f"3\n\n{rows}")
    assert read_template(path)[0].tolist() == numbers


@pytest.mark.parametrize(
    ("title", "number"), [("TITLE   cell{angstrom} Traj: positions{angstrom}\n", 0), ("", 1)]
)
def test_template_takes_no_molecule_of_ipi_for_an_atom(tmp_path, title, number):
    path = tmp_path / "start.pdb"
    path.write_text(
        f"{title}CRYST1   17.847   17.847   17.847  90.00  90.00  90.00 P 1           1\n"
        "ATOM      1   H2   1     1       0.147   0.132   0.114  0.00  0.00             0\nEND\n"
    )
    assert read_template(path)[0].tolist() == [number]  # para-hydrogen; in others an atom's name


def test_labels_of_no_element_are_for_models_that_ask_for_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "init.xyz").write_text("2\n\nE 0 0 0\nE 0 0 1\n")
    anything, own, calculator = Toy(), Toy(), AseModel("emt", EMT)
    anything.capabilities = replace(own.capabilities, species=None)
    assert not ForceField(PARAMETERS, lambda spec: anything, False).numbers.any()
    for model, role in ((own, "direct"), (calculator, "conservative")):
        with pytest.raises(ModelError, match=r"atoms of no(ne| element)"):
            ForceField(PARAMETERS | {"role": role}, lambda spec, m=model: m, False)


def test_force_field_tells_the_model_of_charge_and_spin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    structure = atoms()
    structure.info["charge"], structure.info["note"] = 1, "two words"
    structure.set_tags(range(27))
    ase.io.write("init.xyz", structure)
    with pytest.raises(DataError, match="got charge=1"):
        ForceField(PARAMETERS, lambda spec: Toy(), False)
    without = ForceField(PARAMETERS | {"charge": "0"}, lambda spec: Toy(), False)
    assert without.inputs.charge == 0.0
    told = Toy()
    told.capabilities = replace(told.capabilities, inputs=frozenset({"charge", "spin"}))
    one, other = (
        ForceField(PARAMETERS | more, lambda spec: told, False)
        for more in ({}, {"charge": "-1", "spin": "3"})
    )
    request = Request(27, structure.cell.array.T[None] / BOHR, structure.positions[None] / BOHR)
    (found,), (changed,) = one.decode(request, "s"), other.decode(request, "s")
    assert (found.inputs.charge, found.inputs.spin) == (1.0, None)
    assert found.inputs.info == {"charge": 1, "note": "two words"} == ase.io.read("init.xyz").info
    assert found.inputs.arrays["tags"].tolist() == [*range(27)]
    assert (changed.inputs.charge, changed.inputs.spin) == (-1.0, 3)
    assert one.identity != other.identity  # the scheduler keeps their results apart
    assert one.identity == ForceField(PARAMETERS, lambda spec: told, False).identity
