"""What ``halfkick run`` cannot do ends in one clear line."""

from __future__ import annotations

import socket
from pathlib import Path

import ase.io
import numpy as np
import pytest
from running import assert_nothing_left, children, finish, halfkick, run
from simulation import Case, write

pytestmark = pytest.mark.usefixtures("nothing_outlives_the_test")


def replace_in(name: str, old: str, new: str):
    """A way to spoil a file."""

    def spoil(folder: Path) -> None:
        path = folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return spoil


def other_template(folder: Path) -> None:
    structure = ase.io.read(folder / "init.xyz")
    ase.io.write(folder / "other.xyz", structure[:-1])
    replace_in("input.xml", "template: init.xyz", "template: other.xyz")(folder)


def no_number(folder: Path) -> None:
    structure = ase.io.read(folder / "init.xyz")
    structure.positions[3, 1] = np.nan
    ase.io.write(folder / "init.xyz", structure)


def other_species(folder: Path) -> None:
    structure = ase.io.read(folder / "init.xyz")
    structure.symbols[0] = "Ar"
    ase.io.write(folder / "init.xyz", structure)


def no_socket(folder: Path) -> None:
    simple = "<fflj name='lj'/>"
    text = (folder / "input.xml").read_text()
    head, tail = text[: text.index("<ffsocket")], text[text.rindex("</ffsocket>") + 11 :]
    (folder / "input.xml").write_text(head + simple + tail)


def no_model_file(folder: Path) -> None:
    (folder / "broken.pt").write_text("no model")
    replace_in("input.xml", "python:toy:toy", "broken.pt")(folder)


BAD = {
    "no such model": (replace_in("input.xml", "python:toy:toy", "nowhere"), "'nowhere'"),
    "no model": (no_model_file, "broken.pt"),
    "a role the model lacks": (
        replace_in("input.xml", "python:toy:toy", "python:toy:toy?direct=False"),
        "direct forces, but it offers only conservative",
    ),
    "no role": (replace_in("input.xml", "role: direct, ", ""), "role"),
    "a species the model does not know": (other_species, "got Ar"),
    "another number of atoms": (other_template, "other.xyz"),
    "no ffsocket": (no_socket, "<ffsocket>"),
    "positions that are no numbers": (no_number, "finite"),
    "forces that are no numbers": (
        replace_in("input.xml", "python:toy:toy", "python:toy:toy?nan_after=5"),
        "finite",
    ),
    "no input": (lambda folder: (folder / "input.xml").unlink(), "input.xml"),
    "no XML": (replace_in("input.xml", "<simulation", "simulation"), "XML"),
    "nonsense for i-PI": (replace_in("input.xml", "mode='nve'", "mode='nonsense'"), "nonsense"),
}


@pytest.mark.parametrize("what", BAD)
def test_run_says_bad_input_in_one_line(tmp_path, what):
    spoil, said = BAD[what]
    write(tmp_path, Case(steps=20))
    spoil(tmp_path)
    code, _, err = run(tmp_path)
    assert code not in (0, None)
    assert err.startswith("halfkick: error: ") and err.count("\n") == 1, err
    assert said in err
    assert (tmp_path / "guard.xyz").exists() == (what == "forces that are no numbers")
    assert_nothing_left(tmp_path)


def test_run_refuses_a_device_that_is_not_there(tmp_path):
    if Path("/dev/nvidiactl").exists():
        pytest.skip("there is a GPU")
    write(tmp_path, Case(steps=4, model="water"))
    code, _, err = run(tmp_path, "--device", "cuda")
    assert code not in (0, None)
    assert err.count("\n") == 1 and "cuda" in err
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("mode", ["unix", "inet"])
def test_run_refuses_an_address_in_use(tmp_path, mode):
    xml = write(tmp_path, Case(steps=4, mode=mode))
    with socket.socket(socket.AF_UNIX if mode == "unix" else socket.AF_INET) as listener:
        if mode == "unix":
            listener.bind(str(tmp_path / "direct"))
        else:
            listener.bind(("localhost", int(xml.read_text().split("<port>")[2].split()[0])))
        listener.listen()
        (tmp_path / "simulation.out").write_text("of the run that is there")
        code, _, err = run(tmp_path)
        assert code not in (0, None)
        assert err.count("\n") == 1 and "in use" in err
        assert (tmp_path / "simulation.out").exists()
        assert (tmp_path / "direct").is_socket() == (mode == "unix")
        assert children(tmp_path) == {}


def test_serve_ends_when_ipi_never_comes(tmp_path):
    write(tmp_path, Case(steps=4))
    code, _, err = finish(halfkick(tmp_path, "serve", "input.xml", "--wait", "2"))
    assert code not in (0, None)
    assert "error" in err.strip().split("\n")[-1]
    assert_nothing_left(tmp_path)


def test_run_refuses_restart_without_a_checkpoint(tmp_path):
    write(tmp_path, Case(steps=4))
    refused(tmp_path, "RESTART")


def test_run_refuses_restart_with_no_steps_left(tmp_path):
    write(tmp_path, Case(steps=4))
    code, _, err = run(tmp_path)
    assert code == 0, err
    refused(tmp_path, "4 done of 4")
    refused(tmp_path, "4 done of 2", "--steps", "2")


def refused(folder, said, *arguments):
    """To go on is refused in one line, and nothing is touched."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code, _, err = run(folder, "--restart", *arguments)
    assert code not in (0, None)
    assert err.startswith("halfkick: error: ") and err.count("\n") == 1
    assert said in err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_run_refuses_a_scenario_that_is_not_there(tmp_path):
    code, _, err = finish(halfkick(tmp_path, "run", "water_on_mars"))
    assert code not in (0, None)
    assert "water_on_mars" in err and "water_nvt_mts" in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
