"""An input may name its files from where it lies, or from where i-PI is started."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from running import finish, halfkick
from simulation import Case, write

from halfkick.driver.ipi.input import IpiInput

pytestmark = pytest.mark.usefixtures("nothing_outlives_the_test")


def from_above(folder: Path) -> Path:
    """An input in ``data`` that names its files from the folder above."""
    (folder / "data").mkdir()
    xml = write(folder / "data", Case(steps=4))
    xml.write_text(xml.read_text().replace("init.xyz", "data/init.xyz"))
    return xml


def test_run_and_restart_where_the_files_are_found(tmp_path):
    from_above(tmp_path)
    code, _, err = finish(halfkick(tmp_path, "run", "data/input.xml", "--steps", "2"))
    assert (code, err) == (0, "")
    assert (tmp_path / "summary.json").exists() and (tmp_path / "simulation.out").exists()
    assert {p.name for p in (tmp_path / "data").iterdir()} == {
        "input.xml", "input.steps.xml", "init.xyz",
    }  # fmt: skip
    code, _, err = finish(halfkick(tmp_path, "run", "data/input.xml", "--restart"))
    assert code != 0 and "2 done of 2" in err
    code, out, err = finish(
        halfkick(tmp_path, "run", "data/input.xml", "--restart", "--steps", "4")
    )
    assert (code, err) == (0, "") and "finished: 4 steps" in out
    code, out, _ = finish(halfkick(tmp_path, "watch", "data/input.xml", "--once"))
    assert code == 0 and "4 of 4" in out


def test_folder_is_where_more_files_are_found(tmp_path, monkeypatch):
    xml = from_above(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    assert IpiInput.read(Path("data/input.xml")).folder == tmp_path
    monkeypatch.chdir(elsewhere)
    assert IpiInput.read(xml).folder == xml.parent
    xml.write_text(xml.read_text().replace("data/init.xyz", "init.xyz"))
    (tmp_path / "init.xyz").write_text((xml.parent / "init.xyz").read_text())
    monkeypatch.chdir(tmp_path)
    assert IpiInput.read(xml).folder == xml.parent  # as found beside the input


def as_json(element: ElementTree.Element) -> object:
    """An element as i-PI's JSON has it."""
    data: dict[str, object] = {}
    for child in element:
        data.setdefault(child.tag, []).append(as_json(child))
    if element.attrib:
        data["attributes"] = dict(element.attrib)
    if text := (element.text or "").strip():
        data["value"] = text
    return data if set(data) != {"value"} else data["value"]


def test_input_in_json_is_that_in_xml(tmp_path):
    xml = write(tmp_path, Case("npt", steps=4, beads=2))
    text = json.dumps({"simulation": as_json(ElementTree.parse(xml).getroot())})
    (tmp_path / "input.json").write_text(text)
    sources = [IpiInput.read(tmp_path / name) for name in ("input.xml", "input.json")]
    assert sources[0].sockets == sources[1].sockets
    assert sources[0].outputs == sources[1].outputs
    assert sources[0].nmts == sources[1].nmts == (1, 4) and sources[1].beads == 2
    xml.unlink()
    code, out, err = finish(halfkick(tmp_path, "run", "."))
    assert (code, err) == (0, "") and "finished: 4 steps" in out
