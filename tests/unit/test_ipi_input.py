"""What is read of an i-PI input is what i-PI itself reads in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulation import Case, write

from halfkick.driver.errors import InputError
from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.ipi.motion import Bath
from halfkick.driver.ipi.outputs import Output, Outputs
from halfkick.driver.ipi.transport import TRANSPORTS
from halfkick.driver.run.folder import RunFolder

INPUTS = Path(__file__).parents[2] / "ipi_inputs"

SCENARIOS = sorted(path.parent.name for path in INPUTS.glob("*/input.xml"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_input_facts_are_those_that_ipi_reads(name):
    from ipi.inputs.simulation import InputSimulation
    from ipi.utils.io.inputs.io_xml import xml_parse_file
    from ipi.utils.units import unit_to_user

    path = INPUTS / name / "input.xml"
    own = IpiInput.read(path)
    ipi = InputSimulation()
    with path.open() as file:
        ipi.parse(xml_parse_file(file).fields[0][1])
    system = next(value for tag, value in ipi.extra if tag == "system")
    (mine,) = own.systems
    dynamics = system.motion.dynamics
    assert own.total_steps == ipi.total_steps.fetch()
    assert own.nmts == tuple(dynamics.nmts.fetch())
    assert own.timestep_fs == pytest.approx(
        unit_to_user("time", "femtosecond", dynamics.timestep.fetch())
    )
    assert mine.ensemble.mode == dynamics.mode.fetch()
    assert mine.ensemble.temperature_K == pytest.approx(
        unit_to_user("temperature", "kelvin", system.ensemble.temperature.fetch())
    )
    pressure = unit_to_user("pressure", "megapascal", system.ensemble.pressure.fetch())
    assert (mine.ensemble.pressure_MPa is None) == np.isnan(pressure)
    assert mine.beads == system.initialize.nbeads.fetch()
    assert mine.fixes_centre_of_mass == system.motion.fixcom.fetch()
    forces = [force for _, force in system.forces.extra]
    assert [f.forcefield for f in mine.forces] == [f.forcefield.fetch() for f in forces]
    for force, theirs in zip(mine.forces, forces, strict=True):
        assert force.mts_weights == tuple(theirs.mts_weights.fetch())
        assert (force.weight, force.beads) == (theirs.weight.fetch(), theirs.nbeads.fetch())
    sockets = [value for tag, value in ipi.extra if tag == "ffsocket"]
    assert [s.address.host for s in own.sockets] == [s.address.fetch() for s in sockets]
    assert [s.timeout_s for s in own.sockets] == [s.timeout.fetch() for s in sockets]
    assert own.outputs.prefix == ipi.output.prefix.fetch()
    given = [(tag, o.filename.fetch(), o.stride.fetch()) for tag, o in ipi.output.extra]
    assert [(o.kind, o.filename, o.stride) for o in own.outputs.items] == given


def test_input_without_outputs_has_those_of_ipi():
    from ipi.inputs.outputs import InputOutputs

    theirs = InputOutputs.make_default()
    own = IpiInput().outputs
    assert own.prefix == theirs.prefix
    assert [(o.filename, o.stride) for o in own.items] == [(o.filename, o.stride) for o in theirs]
    assert own.items[0].quantities == list(theirs[0].outlist)


REPLICAS = """<simulation sockets_prefix='/here/'>
  <output prefix='o'>
    <properties> [step] </properties> <trajectory filename='x' bead='0'> positions </trajectory>
    <checkpoint filename='c' overwrite='false'/>
  </output>
  <ffsocket name='plain' mode='unix'> <address> p </address> </ffsocket>
  <ffrotations name='turned'> <grid_order> 2 </grid_order>
    <ffsocket name='inner' mode='unix'> <address> i </address>
      <parameters> {role: direct} </parameters> </ffsocket>
  </ffrotations>
  <ffcommittee name='many'>
    <ffsocket name='one' mode='unix'> <address> m1 </address> </ffsocket>
    <ffsocket name='two' mode='shm'> <address> m2 </address> </ffsocket>
  </ffcommittee>
  <ffcavphsocket name='cavity' mode='inet'> <address> host </address> <port> 99 </port>
  </ffcavphsocket>
  <system prefix='first'> <initialize nbeads='2'/>
    <forces> <force forcefield='turned'/> </forces> </system>
  <system_template>
    <labels> [ T, TEMP ] </labels>
    <instance> [ 1, 300 ] </instance>
    <instance> [ 2, 600 ] </instance>
    <template> <system prefix='tT'> <initialize nbeads='4'/>
      <ensemble> <temperature units='kelvin'> TEMP </temperature> </ensemble>
      <motion mode='dynamics'> <dynamics mode='nvt'> <thermostat mode='svr'>
        <tau units='picosecond'> 0.1 </tau> </thermostat> </dynamics> </motion>
    </system> </template>
  </system_template>
</simulation>"""


def test_sockets_inside_of_other_force_fields_are_served():
    """i-PI gives its prefix to those on top alone; a force names what is around the socket."""
    source = IpiInput.parse(REPLICAS)
    assert [(s.name, s.forcefield, str(s.address)) for s in source.sockets] == [
        ("plain", "plain", "unix /here/p"),
        ("inner", "turned", "unix /tmp/ipi_i"),
        ("one", "many", "unix /tmp/ipi_m1"),
        ("two", "many", "shm /tmp/ipi_m2"),
        ("cavity", "cavity", "inet host:99"),
    ]
    assert source.without_energy == "turned"


def test_systems_of_a_template_are_those_that_ipi_makes():
    source = IpiInput.parse(REPLICAS)
    assert [(s.prefix, s.beads) for s in source.systems] == [("first", 2), ("t1", 4), ("t2", 4)]
    assert source.replicas == 10
    assert [s.ensemble.temperature_K for s in source.systems] == [None, 300.0, 600.0]
    assert source.systems[2].ensemble.thermostat == Bath("svr", pytest.approx(100.0))
    wrong = REPLICAS.replace("[ 2, 600 ]", "[ 2 ]")
    with pytest.raises(InputError, match="expected 2 values in <instance>"):
        _ = IpiInput.parse(wrong).systems


def test_output_files_are_those_of_all_systems_and_beads(tmp_path):
    names = ["first_o.out", "t1_o.out", "t2_o.out", "t1_o.x_0.xyz", "t1_o.x_10.xyz",
             "t1_o.x_2.xyz", "o.c_0", "o.c_1"]  # fmt: skip
    others = ["o.out", "t3_o.out", "first_o.out.old", "t1_o.c_0", "x_0.xyz", "t1_o.x_0.txt"]
    for name in (*names, *others):
        (tmp_path / name).touch()
    source = IpiInput.parse(REPLICAS, tmp_path / "input.xml")
    assert {path.name for path in source.files.on_disk()} == set(names)
    assert source.files.properties_of("first") == tmp_path / "first_o.out"
    (trajectory,) = source.outputs.of_kind("trajectory")
    beads = source.files.of(trajectory, "t1")
    assert [p.name for p in beads] == ["t1_o.x_0.xyz", "t1_o.x_2.xyz", "t1_o.x_10.xyz"]


@pytest.mark.parametrize(
    ("given", "fixed", "centre"),
    [
        ("", (), True),
        ("<fixcom> False </fixcom>", (), False),
        ("<fixatoms> [ 2, 0 ] </fixatoms>", (0, 1, 2, 6, 7, 8), False),
        ("<fixatoms_dof> [4] </fixatoms_dof>", (4,), False),
    ],
)
def test_input_tells_which_atoms_are_held_fixed(given, fixed, centre):
    text = f"<simulation><system><motion mode='dynamics'>{given}</motion></system></simulation>"
    (system,) = IpiInput.parse(text).systems
    assert system.fixed_coordinates == fixed
    assert system.fixes_centre_of_mass is centre


def test_input_changes_leave_the_first_as_it_is(tmp_path):
    source = IpiInput.read(write(tmp_path, Case("npt", beads=2)))
    before = source.text
    checkpoint = tmp_path / "RESTART"
    outputs = Outputs("p", [Output("trajectory", "x", 3, "positions", {"format": "ase"})])
    made = source.replace(
        attributes={"sockets_prefix": "/there/"},
        total_steps=7,
        seed=3,
        timestep_fs=1.0 / 3.0,
        nmts=(1, 3),
        ensemble="nvt",
        thermostat=Bath("svr", 12.5),
        beads=5,
        checkpoint=checkpoint,
        outputs=outputs,
    )
    assert source.text == before
    made = IpiInput.read(made.write(tmp_path / "other.xml"))
    assert (made.total_steps, made.nmts, made.beads) == (7, (1, 3), 5)
    assert made.timestep_fs == pytest.approx(1.0 / 3.0, rel=1e-11)
    assert made.ensemble.mode == "nvt" and made.ensemble.barostat is None
    assert made.ensemble.thermostat == Bath("svr", 12.5)
    assert made.outputs == outputs
    assert str(made.sockets[0].address) == "unix /there/conservative"
    assert f"> {checkpoint} </file>" in made.text and "thermal" in made.text


def test_input_file_that_holds_it_already_stays_untouched(tmp_path):
    path = write(tmp_path, Case())
    source = IpiInput.read(path)
    written = source.write(tmp_path / "copy.xml")
    before = written.stat().st_mtime_ns
    source.write(written)
    assert written.stat().st_mtime_ns == before
    source.replace(total_steps=3).write(written)
    assert written.stat().st_mtime_ns != before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<total_steps> 50 ", "<total_steps> many ", "whole number in <total_steps>, got 'many'"),
        ("nbeads='1'", "nbeads='one'", "whole number in nbeads of <initialize>, got 'one'"),
        ("[1, 4]", "[1, four]", r"expected <nmts> \[1, M\], got '\[1, four\]'"),
        ("[1.0, 0.0]", "[1.0, none]", "expected numbers .* in <mts_weights>"),
        ("mode='unix'", "mode='pigeon'", "expected mode unix, shm or inet in <ffsocket"),
    ],
)
def test_input_refuses_what_is_no_number(tmp_path, old, new, message):
    path = write(tmp_path, Case())
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        IpiInput.read(path)


def test_input_refuses_an_unknown_unit():
    text = "<dynamics> <timestep units='fortnight'> 1 </timestep> </dynamics>"
    text = f"<simulation><system><motion mode='dynamics'>{text}</motion></system></simulation>"
    with pytest.raises(InputError, match="expected a unit of time that i-PI knows"):
        _ = IpiInput.parse(text).timestep_fs


def test_transports_are_the_modes_of_ipi():
    from ipi.inputs.forcefields import InputFFSocket

    assert set(TRANSPORTS) == set(InputFFSocket.attribs["mode"][1]["options"])


def test_run_folder_names_each_file_once(tmp_path):
    names = [path.name for path in RunFolder(tmp_path).overwritten]
    assert len(set(names)) == len(names)
    assert {path.parent for path in RunFolder(tmp_path).overwritten} == {tmp_path}
