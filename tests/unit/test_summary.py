"""What a run says of itself while it goes and in the end: summary, progress, plot."""

from __future__ import annotations

import json

import numpy as np
import pytest
from properties_file import HEADER, ROWS

from halfkick.driver.commands.compare import compare
from halfkick.driver.errors import RunError
from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.ipi.properties import Properties, read_properties
from halfkick.driver.run.gaps import describe_gaps
from halfkick.driver.run.job import prepare
from halfkick.driver.run.plot import draw_energies
from halfkick.driver.run.progress import Progress
from halfkick.driver.run.summary import summarize
from halfkick.driver.run.wording import temperatures
from halfkick.driver.study.analysis.run_data import open_run


@pytest.mark.parametrize(("wave", "digits"), [(0.0, 6), (1e-7, 6), (3.0, 4)])
def test_plot_axes_need_few_digits(wave, digits):
    from halfkick.models.plotting import new_figure, widen

    values = 300.123456789 + wave * np.sin(np.arange(50))
    figure = new_figure(5.0, 3.0)
    axes = figure.subplots()
    axes.plot(values)
    axes.ticklabel_format(axis="y", useOffset=False)
    widen(axes, values, 1.0)
    figure.canvas.draw()
    assert max(len(label.get_text()) for label in axes.get_yticklabels()) <= digits


XML = """<simulation><output prefix='o'><properties filename='md'> [potential] </properties>
<properties filename='p'> [step, conserved] </properties></output>
<total_steps> 9 </total_steps><ffsocket name='f' mode='unix'><address>a</address></ffsocket>
<system><motion><dynamics><nmts> [1, 2, 3] </nmts></dynamics></motion></system></simulation>"""

FORCE = """<parameters> {role: %s} </parameters></ffsocket>
<system><forces> <force forcefield='f'/> </forces></system>"""


def job(folder, xml=XML):
    (folder / "input.xml").write_text(xml)
    return prepare(folder / "input.xml", None, False)


def test_job_is_what_the_input_says(tmp_path):
    found = job(tmp_path)
    assert (found.step, found.total_steps, found.inner_steps) == (0, 9, 6)
    (system,) = found.systems
    assert (system.properties, system.n_atoms) == (tmp_path / "o.p", None)
    assert job(tmp_path, XML.replace("<nmts> [1, 2, 3] </nmts>", "")).inner_steps == 1
    bare = "<simulation><ffsocket name='f'/></simulation>"
    (system,) = job(tmp_path, bare).systems
    assert system.properties == tmp_path / "i-pi.md"  # as i-PI does if not told
    silent = "<simulation><output/><ffsocket name='f'/></simulation>"
    assert job(tmp_path, silent).systems[0].properties is None


def test_job_keeps_aside_only_the_outputs_of_a_run(tmp_path):
    for name in ("o.p", "RESTART", "copy_o.p", "o.p_old", "notes"):
        (tmp_path / name).write_text("precious")
    job(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"#o.p#0#", "#RESTART#0#", "copy_o.p", "o.p_old", "notes", "input.xml"}


def test_summary_without_columns_is_null(tmp_path):
    summary = summarize("failed", [Properties()], job(tmp_path), wall_s=1.0, pace=None)
    summary.write(tmp_path / "summary.json")
    content = json.loads((tmp_path / "summary.json").read_text())
    state, wall_s, drivers = (content.pop(k) for k in ("state", "wall_s", "drivers"))
    assert (state, wall_s, drivers) == ("failed", 1.0, 1)
    assert set(content.values()) == {None}
    assert str(summary) == "failed: 0 steps in 1.0 s"


def test_summary_of_numbers_that_are_none_is_null(tmp_path):
    rows = Properties(temperature=np.array([300.0, np.nan, 300.0]))
    summary = summarize("finished", [rows], job(tmp_path), wall_s=1.0, pace=(6.0, 2.0))
    (system,) = summary.systems.values()
    assert system.temperature_K is None
    assert summary.ms_per_inner_step == pytest.approx(500.0)


def test_summary_says_what_is_ipis_own(tmp_path):
    own = """<motion mode='dynamics'> <dynamics mode='nst'> <barostat mode='flexible'/>
      <thermostat mode='nm_gle'> <C> [1, 0, 0, 2] </C> </thermostat> <nmts>"""
    rows = Properties(time=np.arange(4.0), conserved=np.arange(4.0), temperature=np.full(4, 416.0))
    for text, told in ((XML, False), (XML.replace("<motion><dynamics><nmts>", own), True)):
        found = job(tmp_path, text)
        found.systems[0].__dict__["n_atoms"] = 2
        summary = summarize("finished", [rows], found, wall_s=1.0, pace=None)
        said = str(summary)
        assert "drift of the conserved quantity: 500" in said and "temperature: 416 K" in said
        assert ("(i-PI's own: its flexible barostat conserves nothing)" in said) == told
        assert (
            "(not the target's: 'nm_gle' has a covariance C of its own; compare" in said
        ) == told
        summary.write(tmp_path / "summary.json")
        content = json.loads((tmp_path / "summary.json").read_text())
        assert bool(content["drift_remark"] and content["temperature_remark"]) == told


PIGLET = """<motion mode='dynamics'> <dynamics mode='nvt'> <thermostat mode='nm_gle'>
  <C shape='(2, 1, 1)'> [600, 900] </C> </thermostat> <nmts>"""


def test_run_under_piglet_tells_the_temperature_of_centroids(tmp_path):
    found = job(tmp_path, XML.replace("<motion><dynamics><nmts>", PIGLET))
    rows = Properties(temperature=np.full(4, 416.0), centroid_temperature=np.full(4, 299.0))
    assert temperatures([rows], found.systems) == "416 K (not the target's), centroids 299 K"
    lines = str(summarize("finished", [rows], found, wall_s=1.0, pace=None))
    assert "that of centroids, temperature(nm=0), is)" in lines
    assert "temperature of centroids: 299 K" in lines
    classical = job(tmp_path, XML)
    assert temperatures([rows], classical.systems) == "416 K"


def test_summary_digits_end_where_the_error_begins(tmp_path):
    rows = Properties(temperature=np.array([300.0, 302.0, 301.0, 297.0]))
    summary = summarize("finished", [rows], job(tmp_path), wall_s=1.0, pace=None)
    assert "temperature: 300.0 ± 1.1 K" in str(summary)


@pytest.mark.parametrize("n", [1, 2, 100])
@pytest.mark.parametrize("missing", ["", "time", "conserved", "temperature"])
def test_energy_plot_shows_the_columns_there_are(tmp_path, n, missing):
    names = {"step", "time", "conserved", "temperature"} - {missing}
    rows = Properties(**{name: np.arange(n, dtype=float) for name in names})
    draw_energies({"0": (rows, 3)}, "water", tmp_path / "energy.png")
    assert (tmp_path / "energy.png").read_bytes().startswith(b"\x89PNG")


def test_energy_plot_shows_all_systems(tmp_path):
    rows = {str(k): (Properties(temperature=np.arange(9.0) + k), None) for k in range(3)}
    draw_energies(rows | {"3": (Properties(), 4)}, "water", tmp_path / "energy.png")
    assert (tmp_path / "energy.png").read_bytes().startswith(b"\x89PNG")


def test_energy_plot_without_rows_is_none(tmp_path):
    draw_energies({"0": (Properties(), None)}, "water", tmp_path / "energy.png")
    assert not (tmp_path / "energy.png").exists()


def test_progress_sees_rows_come(tmp_path):
    from rich.console import Console

    path = tmp_path / "o.p"
    found = job(tmp_path)
    console = Console(record=True, force_terminal=False)
    with Progress(found, console) as progress:
        progress.update(at_once=True)
        assert progress.first is None and progress.pace is None
        for end in range(1, 4):
            path.write_text(HEADER + "".join(ROWS[:end]))
            progress.update(at_once=True)
        assert (progress.first[1], progress.last[1]) == (0.0, 4.0)
        assert progress.pace[1] == 4.0
    assert "0/9 steps  0.000 ps  300 K" in console.export_text()


@pytest.mark.parametrize(("role", "told"), [("conservative", True), ("direct", False)])
def test_progress_tells_no_drift_of_what_is_not_conserved(tmp_path, role, told):
    from rich.console import Console

    console = Console(record=True, force_terminal=False)
    found = job(tmp_path, XML.replace("</ffsocket>", FORCE % role))
    assert found.systems[0].without_energy == (None if told else "f")
    found.systems[0].__dict__["n_atoms"] = 3
    (tmp_path / "o.p").write_text(HEADER + "".join(ROWS))
    with Progress(found, console) as progress:
        progress.update(at_once=True)
    said = console.export_text()
    assert "290 K" in said
    assert ("drift" in said) == told


SOCKETS = """<simulation>
<ffsocket name='c'> <parameters> {role: conservative} </parameters> </ffsocket>
<ffsocket name='d'> <parameters> {role: direct%s} </parameters> </ffsocket>
<system><initialize nbeads='8'/><forces>
%s</forces></system></simulation>"""


def force(field, weights="", beads="", weight=""):
    return f"<force forcefield='{field}' nbeads='{beads}' weight='{weight}'> {weights} </force>"


@pytest.mark.parametrize(
    ("forces", "lacking"),
    [
        (("c", "<mts_weights> [1, 0] </mts_weights>"), None),
        (("d", ""), "d"),
        (("d", "<mts_weights> [-1, 1] </mts_weights>"), None),
        (("d", "<mts_weights> [ -1.0 1.0 ] </mts_weights>"), None),
        (("d", "", "", "0.5"), "d"),
        (("d", "", "", "0"), None),
    ],
)
def test_summary_tells_which_energy_is_missing(forces, lacking):
    """Direct forces without an energy have to cancel; with one they need not."""
    for energy, expected in (("", lacking), (", energy: none", lacking), (", energy: model", None)):
        source = IpiInput.parse(SOCKETS % (energy, force("c") + force(*forces)))
        assert source.without_energy == expected
    contracted = force("d", "<mts_weights> [-1, 0] </mts_weights>", "2")
    contracted += force("d", "<mts_weights> [0, 1] </mts_weights>")
    assert IpiInput.parse(SOCKETS % ("", contracted)).without_energy == "d"
    for all_of_them in ("", "0", "8"):
        whole = contracted.replace("nbeads='2'", f"nbeads='{all_of_them}'")
        assert IpiInput.parse(SOCKETS % ("", whole)).without_energy is None


def gap(fast, slow, rmse, structures=1, card=None, far=False):
    return {
        "fast": fast, "slow": slow, "rmse_meV_per_A": rmse, "structures": structures,
        "card_meV_per_A": card, "far_above_card": far,
    }  # fmt: skip


def test_gaps_have_one_line_for_each_pair_of_roles():
    one = [gap("pet, direct", "pet, conservative", 30.0, card=20.0, far=True)]
    (line,) = describe_gaps(one)
    assert line.startswith("gap of pet, direct to pet, conservative: 30.0 meV/Å (its card: 20.0)")
    assert "far above its card" in line
    members = [gap("a, direct", f"{name}, conservative", 30.0, 3) for name in "ab"]
    members += [gap("a, direct", "c, conservative", 50.0, 2)]
    members += [gap("a, conservative", "a, conservative", 0.0)]  # the same forces
    (line,) = describe_gaps(members)
    rms = np.sqrt((6 * 30.0**2 + 2 * 50.0**2) / 8)
    assert line == f"gap of direct forces to conservative forces (3 pairs): {rms:.1f} meV/Å"
    two_models = [gap("cheap, conservative", "dear, conservative", 7.0)]
    assert describe_gaps(two_models) == [
        "gap of cheap, conservative to dear, conservative: 7.0 meV/Å"
    ]


@pytest.mark.parametrize("name", ["conserved", "temperature"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_what_is_no_number_is_a_fault_wherever_it_is_read(tmp_path, name, value):
    from rich.console import Console

    found = job(tmp_path)
    columns = ROWS[1].split()
    columns[{"conserved": 2, "temperature": 5}[name]] = value
    (tmp_path / "o.p").write_text(HEADER + ROWS[0] + "  ".join(columns) + "\n" + ROWS[2])
    assert f"got {name} {value} at step 2" in read_properties(tmp_path / "o.p").fault
    for open_it in (open_run, lambda path: compare([path])):
        with pytest.raises(RunError, match=f"got {name} {value} at step 2"):
            open_it(tmp_path / "input.xml")
    with Progress(found, Console(quiet=True)) as progress:
        progress.update(at_once=True)
        assert progress.fault is None  # the last row is well
        (tmp_path / "o.p").write_text(HEADER + ROWS[0] + "  ".join(["5", *columns[1:]]) + "\n")
        progress.update(at_once=True)
        assert f"got {name} {value} at step 5" in progress.fault
    (tmp_path / "o.p").write_text(HEADER + "".join(ROWS))
    assert read_properties(tmp_path / "o.p").fault is None
    assert open_run(tmp_path / "input.xml").columns[name][1] > 0
