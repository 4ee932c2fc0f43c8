"""Extras in i-PI: committees, trajectories, driven dynamics, over one socket and no more often."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import ase.io
import committee
import numpy as np
import pytest
from charged import CHARGES
from simulation import HALFKICK, Case, last_positions, properties, simulate, start, write
from waters import water

from halfkick.driver.server.units import BOHR, HARTREE

SENT = "role: conservative, energy_ensemble: on, uncertainty_threshold: 1, extras: mtt::dipole"
COMMITTEE = ("committee_pot", "committee_force", "committee_virial")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The committee, and each of its members alone."""
    folder = tmp_path_factory.mktemp("model")
    return [
        committee.export(folder / f"{name}.pt", factor=factor)
        for name, factor in (("all", 1.0), ("0", 1.0), ("1", 1.1), ("2", 1.2))
    ]


@pytest.fixture
def model(models):
    return models[0]


def trajectories(*names):
    return "".join(
        f"<trajectory stride='1' filename='{name}' bead='-1' extra_type='{name}'> extras"
        "</trajectory>"
        for name in names
    )


ENSEMBLES = ", energy_ensemble: True, force_virial_ensemble: True"


def sockets(models, more=""):
    """A socket for each model, inside of a ``<ffcommittee>``."""
    members = "".join(
        f"""<ffsocket name='{path.stem}' mode='unix' pbc='false'>
        <address> hk_extras_{os.getpid()}_{path.stem} </address> <latency> 1e-4 </latency>
        <parameters> {{model: {path}, role: conservative, template: init.xyz{more}}} </parameters>
        </ffsocket>"""
        for path in models
    )
    return f"<parse_json> {bool(more)} </parse_json> {members}"


def test_committee_over_one_socket_is_that_of_a_socket_for_each_member(models, tmp_path):
    runs, said = [], []
    for name, members in ("one", sockets(models[:1], ENSEMBLES)), ("each", sockets(models[1:])):
        folder = tmp_path / name
        folder.mkdir()

        def edit(xml, members=members):
            field = f"<ffcommittee name='conservative'> {members} </ffcommittee>"
            xml = re.sub("<ffsocket.*</ffsocket>", field, xml, flags=re.DOTALL)
            return xml.replace("<checkpoint", trajectories(*COMMITTEE) + "<checkpoint")

        case = Case("npt", ("conservative",), (1,), steps=4, structure=water())
        runs.append(simulate(folder, case, edit=edit))
        np.savetxt(folder / "values", np.arange(5.0))
        tool = Path(sys.executable).with_name("i-pi-committee-reweight")
        command = [sys.executable, tool, "simulation.committee_pot_0", "values", "--kt", "0.001"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        said.append([float(word) for word in done.stdout.splitlines()[-1].split()])
    positions = [last_positions(run) for run in runs]
    np.testing.assert_allclose(*positions, rtol=0, atol=1e-6)
    for name, rows in zip(COMMITTEE, (1, committee.MEMBERS, committee.MEMBERS), strict=True):
        own, expected = (np.loadtxt(run / f"simulation.{name}_0", ndmin=2) for run in runs)
        assert len(own) == 5 * rows
        np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-7)
        assert np.ptp(expected) > 1e-3
    assert len(said[0]) == 2 + committee.MEMBERS
    np.testing.assert_allclose(*said, rtol=1e-4)


def mts(folder, model, sent):
    """Steps of 4 inner ones with three beads in batches of two, through shared memory."""
    folder.mkdir()
    case = Case("pile", steps=3, mode="shm", batch=2, beads=3, model=str(model), structure=water())
    names = ("committee_pot", "energy_uncertainty", "dipole") if sent else ()

    def edit(xml):
        xml = xml.replace("<checkpoint", trajectories(*names) + "<checkpoint")
        return xml.replace("role: conservative", SENT) if sent else xml

    write(folder, case)
    path = folder / "input.xml"
    path.write_text(edit(path.read_text()))
    run = start([*HALFKICK, "run", "input.xml"], folder, "run.log")
    assert run.wait(120) == 0, (folder / "run.log").read_text()
    return folder


@pytest.mark.usefixtures("nothing_outlives_the_test")
def test_extras_come_once_for_each_outer_step_and_change_nothing(model, tmp_path):
    plain, sent = mts(tmp_path / "plain", model, False), mts(tmp_path / "sent", model, True)
    np.testing.assert_array_equal(last_positions(plain), last_positions(sent))
    counts = [json.loads((f / "summary.json").read_text())["evaluations"] for f in (plain, sent)]
    passes = [(c["direct"] + c["both"], c["conservative"] + c["both"]) for c in counts]
    assert passes[0] == passes[1]
    energies = properties(sent)["potential"]
    members = [np.loadtxt(sent / f"simulation.committee_pot_{bead}") for bead in range(3)]
    assert np.shape(members) == (3, 4, committee.MEMBERS)
    mean = np.mean(members, axis=0) * HARTREE
    for k in range(committee.MEMBERS):
        np.testing.assert_allclose(mean[:, k], (1.0 + 0.1 * k) * energies, rtol=1e-7)
    for bead in range(3):
        sigma = np.loadtxt(sent / f"simulation.energy_uncertainty_{bead}")
        np.testing.assert_allclose(sigma.sum(axis=1), 0.01 * members[bead][:, 0], rtol=1e-6)
        last = ase.io.read(sent / f"simulation.pos_{bead}.extxyz", index=-1)
        dipole = np.loadtxt(sent / f"simulation.dipole_{bead}")[-1]
        expected = 10.0 * 0.1 * (last.numbers - 4) @ last.positions / BOHR
        np.testing.assert_allclose(dipole, expected, rtol=1e-5)


@pytest.mark.usefixtures("nothing_outlives_the_test")
def test_uncertain_structures_end_a_run_and_are_kept(model, tmp_path):
    case = Case(steps=100_000, model=str(model), structure=water())
    path = write(tmp_path, case)
    sent = "role: conservative, uncertainty_threshold: 1e-5"
    path.write_text(path.read_text().replace("role: conservative", sent))
    process = start([*HALFKICK, "run", "input.xml"], tmp_path, "run.log")
    assert process.wait(120) != 0
    assert "expected uncertainty_threshold 1e-05 eV/atom" in (tmp_path / "run.log").read_text()
    assert (tmp_path / "RESTART").exists()
    kept = ase.io.read(tmp_path / "uncertain.xyz", index=":")
    assert len(kept) == 3
    assert all(frame.arrays["energy_uncertainty"].max() > 1e-5 for frame in kept)


@pytest.mark.usefixtures("nothing_outlives_the_test")
def test_dynamics_is_driven_by_what_the_model_sends(tmp_path):
    """Derivatives of the dipole from a file, and the same ones from the driver."""
    runs = []
    for name in ("file", "driver"):
        folder = copytree(Path(__file__).parent / "features" / "driven", tmp_path / name)
        path = folder / "input.xml"
        xml = path.read_text().replace("anything:anything", "charged:charged")
        xml = xml.replace("<simulation ", f"<simulation sockets_prefix='{folder}/' ")
        if name == "driver":
            xml = xml.replace("<bec mode='file'> bec.txt </bec>", "<bec mode='driver'/>")
            xml = xml.replace("role: conservative", "role: conservative, extras: dipole BEC")
            xml = xml.replace("<checkpoint", trajectories("dipole") + "<checkpoint")
        path.write_text(xml)
        process = start([*HALFKICK, "run", "input.xml"], folder, "run.log")
        assert process.wait(120) == 0, (folder / "run.log").read_text()
        runs.append(np.loadtxt(folder / "simulation.out"))
    np.testing.assert_allclose(runs[1], runs[0], rtol=1e-12)
    assert abs(runs[0][-1, 6]) > 1e-6  # and there was a field
    dipole = np.loadtxt(folder / "simulation.dipole_0")
    last = ase.io.read(folder / "simulation.pos_0.xyz", index=-1)  # in bohr
    charges = np.array([CHARGES[z] for z in last.numbers.tolist()])
    np.testing.assert_allclose(dipole[-1], charges @ last.positions, atol=1e-4)
