"""``halfkick adopt``: inputs that are there become ones for halfkick, and stay what they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulation
from running import finish, halfkick
from simulation import HELPERS, IPI, Case, start
from soft import Soft

from halfkick.driver.commands.adopt import adopt
from halfkick.driver.errors import InputError
from halfkick.driver.ipi.forces import Force
from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.setup.adopt import AdoptOptions, adopted
from halfkick.driver.setup.potentials import model_of
from halfkick.models.errors import ModelError

DIRECT = "<ffdirect name='a'><pes> {} </pes><parameters> {{{}}} </parameters></ffdirect>"
CONDITIONS = "<ensemble><temperature units='kelvin'> 300 </temperature></ensemble>"

RECIPE = """<simulation>
  <ffdirect name='nocons'>
    <pes>metatomic</pes>
    <parameters>{template:init.xyz,model:pet.pt,device:cpu,non_conservative:True}</parameters>
  </ffdirect>
  <ffdirect name='cons'>
    <pes>metatomic</pes>
    <parameters>{template:init.xyz,model:pet.pt,device:cpu,non_conservative:False}</parameters>
  </ffdirect>
  <system>
    <initialize nbeads='1'> <file mode='ase'> init.xyz </file> </initialize>
    <forces>
      <!-- subtracted outside -->
      <force forcefield='nocons'> <mts_weights>[-1,1]</mts_weights> </force>
      <force forcefield='cons'> <mts_weights>[1,0]</mts_weights> </force>
    </forces>
    <motion mode='dynamics'> <dynamics mode='nve'>
      <timestep units='femtosecond'> 4 </timestep> <nmts>[1,8]</nmts>
    </dynamics> </motion>
  </system>
</simulation>
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With an input of one socket, and its start."""
    simulation.write(tmp_path, Case("svr", roles=("conservative",), strides=(1,), steps=5))
    monkeypatch.chdir(tmp_path)
    plain = Path("input.xml").read_text()
    at, end = plain.index("<parameters>"), plain.index("</parameters>") + len("</parameters>")
    Path("input.xml").write_text(plain[:at] + "<!-- my own code -->" + plain[end:])
    return tmp_path


def edited(*changes):
    path = Path("input.xml")
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def as_adopted(path=Path("input.xml"), said=None, **options):
    """What an input becomes with a model that has both forces."""
    options = AdoptOptions(**{"stride": 4} | options)
    source = IpiInput.read(path, served=False)
    say = (lambda _: None) if said is None else said.append
    return adopted(source, options, lambda _: Soft(), say)


def test_adopt_puts_direct_forces_inside_of_one_socket(folder, capsys):
    before = Path("input.xml").read_text()
    adopt(Path("input.xml"), model="python:soft:soft", stride=4)
    assert Path("input.xml").read_text() == before
    made = IpiInput.read(Path("input.halfkick.xml"))
    slow, fast = made.sockets
    assert slow.parameters == {
        "model": "python:soft:soft", "role": "conservative", "template": "init.xyz"
    }  # fmt: skip
    assert fast.parameters == {**slow.parameters, "role": "direct"}
    assert made.systems[0].forces == [
        Force("conservative", mts_weights=(1.0, 0.0)),
        Force("direct", mts_weights=(-1.0, 1.0)),
    ]
    assert (made.timestep_fs, made.nmts) == (2.0, (1, 4))
    out = capsys.readouterr().out
    removed = [line for line in out.splitlines() if line.startswith("-") and line[1] != "-"]
    assert all("force" in line or "timestep" in line for line in removed)
    assert "<!-- my own code -->" in Path("input.halfkick.xml").read_text()


def test_adopt_in_place_changes_the_input_itself(folder):
    adopt(Path("input.xml"), model="python:soft:soft", stride=4, in_place=True)
    assert len(IpiInput.read(Path("input.xml")).sockets) == 2
    with pytest.raises(InputError, match=r"not yet for halfkick, got roles"):
        adopt(Path("input.xml"), model="python:soft:soft", stride=4, in_place=True)


def test_adopt_never_overwrites(folder):
    Path("input.halfkick.xml").write_text("mine")
    with pytest.raises(InputError, match="expected a new file"):
        adopt(Path("input.xml"), model="python:soft:soft", stride=4)
    assert Path("input.halfkick.xml").read_text() == "mine"


def test_adopt_takes_the_recipe_of_metatomic_as_it_is(folder):
    Path("pet.pt").write_text("")
    Path("recipe.xml").write_text(RECIPE)
    made = as_adopted(Path("recipe.xml"))
    roles = {s.name: s.parameters for s in made.sockets}
    assert roles["cons"] == {"model": "pet.pt", "role": "conservative", "template": "init.xyz"}
    assert roles["nocons"] == {**roles["cons"], "role": "direct"}
    before = IpiInput.read(Path("recipe.xml"), served=False)
    assert made.systems[0].forces == before.systems[0].forces
    assert (made.timestep_fs, made.nmts) == (4.0, (1, 8))
    text = made.laid_out_as(RECIPE)
    assert text[text.index("  <system>") :] == RECIPE[RECIPE.index("  <system>") :]


def test_adopt_corrects_direct_forces_that_were_alone(folder):
    """Of a single metatomic with direct forces, MTS with both."""
    Path("pet.pt").write_text("")
    at, end = RECIPE.index("  <ffdirect name='cons'"), RECIPE.index("  <system>")
    text = RECIPE[:at] + RECIPE[end:]
    for line in ("      <force forcefield='cons'> <mts_weights>[1,0]</mts_weights> </force>\n",
                 "<mts_weights>[-1,1]</mts_weights>", "<nmts>[1,8]</nmts>"):  # fmt: skip
        text = text.replace(line, "")
    Path("alone.xml").write_text(text)
    made = as_adopted(Path("alone.xml"))
    assert [s.parameters["role"] for s in made.sockets] == ["conservative", "direct"]
    assert (made.timestep_fs, made.nmts) == (16.0, (1, 4))


@pytest.mark.parametrize(
    ("pes", "parameters", "model"),
    [
        ("metatomic", "template:a.xyz,model:pet.pt", "pet.pt"),
        ("metatomic", "model:pet.pt,energy_variant:d3", "pet.pt?variant=d3"),
        ("mace", "template:a.xyz,model:m.model", "mace:m.model"),
        ("so3lr", "template:a.xyz", "so3lr"),
        ("xtb", "template:a.xyz,method:GFN2-xTB", "tblite:GFN2-xTB"),
        ("xtb", "template:a.xyz,method:GFN2-xTB,charge:1", "tblite:GFN2-xTB?charge=1"),
        ("harmonic", "k1:1", None),
    ],
)
def test_adopt_knows_potentials_of_ipi(pes, parameters, model):
    source = IpiInput.parse(f"<simulation>{DIRECT.format(pes, parameters)}</simulation>")
    (field,) = source.force_fields
    found = model_of(field)
    assert (None if found is None else str(found)) == model


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([("mode='dynamics'", "mode='minimize'")], "i-PI has no levels in motion minimize"),
        ([("dynamics mode='nvt'", "dynamics mode='nvt-cc'")], "no levels in dynamics nvt-cc"),
        ([("</forces>", "<force forcefield='wall'/></forces>")], "'wall' acts too"),
        ([("<nmts> [1] </nmts>", "<nmts> [1, 2] </nmts>")], "levels of its own"),
    ],
)
def test_adopt_leaves_alone_what_has_no_levels(folder, changes, why):
    said = []
    made = as_adopted(edited(*changes), said, model=model_of_soft())
    assert [s.parameters["role"] for s in made.sockets] == ["conservative"]
    assert made.timestep_fs == IpiInput.read(Path("input.xml"), served=False).timestep_fs
    assert why in " ".join(said)


def model_of_soft():
    from halfkick.models.spec import ModelSpec

    return ModelSpec.parse("python:soft:soft")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ([], InputError, "expected --model for ffsocket 'conservative'"),
        ([("<ffsocket", "<ffsocket name='b'/><ffsocket")], InputError, "got ffsocket 'b', ffsock"),
        ([("<ffsocket", "<ffplumed"), ("</ffsocket", "</ffplumed")], InputError, "got none"),
        (
            [("<!-- my own code -->", "<parameters> {model: no.pt} </parameters>")],
            ModelError,
            "no.pt",
        ),
    ],
)
def test_adopt_refuses_in_one_line(folder, changes, error, message):
    with pytest.raises(error, match=message):
        as_adopted(edited(*changes))


@pytest.mark.ipi
def test_adopted_input_gives_the_numbers_of_ipi_itself(folder):
    """Of a potential that i-PI computes, conservative forces alone; and it runs."""
    parameters = "<parameters> {role: conservative, template: init.xyz} </parameters>"
    pes = f"<pes> custom </pes> <pes_path> {HELPERS / 'toy_pes.py'} </pes_path> {parameters}"
    text = Path("input.xml").read_text()
    at, end = text.index("<ffsocket"), text.index("</ffsocket>") + len("</ffsocket>")
    own = f"<ffdirect name='conservative' pbc='false'> {pes} </ffdirect>"
    (folder / "own").mkdir()
    Path("own/init.xyz").write_bytes(Path("init.xyz").read_bytes())
    Path("own/input.xml").write_text(text[:at] + own + text[end:])
    process = start([*IPI, "input.xml"], folder / "own", "i-pi.log")
    adopt(Path("input.xml"), model="python:toy:toy?direct=False")
    code, _, err = finish(halfkick(folder, "run", "input.halfkick.xml", "--threads", "1"))
    assert code == process.wait(180) == 0, err
    numbers, theirs = (simulation.properties(f) for f in (folder, folder / "own"))
    for name in ("conserved", "potential", "temperature"):
        assert numbers[name] == pytest.approx(theirs[name], rel=1e-12)
