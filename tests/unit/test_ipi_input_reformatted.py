"""An i-PI input says the same however it is written."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import ase.io
import pytest

from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.ipi.mts_input import FORCES, MtsInput, RunSettings
from halfkick.driver.study.bench.inputs import Base, Setup
from halfkick.driver.study.validation.validate import ValidationOptions, subject_of

INPUTS = Path(__file__).parents[2] / "ipi_inputs"
SCENARIOS = sorted(path.parent.name for path in INPUTS.glob("*/input.xml"))


ATOMIC_FS = 1.0 / 41.341373  # i-PI's femtosecond
CORRECTED = [name for name in SCENARIOS if name.endswith("_mts")]


def reformatted(path: Path) -> Path:
    """Write the input anew: attributes turned round, comments and space all over, other units."""
    root = ElementTree.parse(path).getroot()
    for element in root.iter():
        element.attrib = {key: f" {value}\n" for key, value in reversed(element.attrib.items())}
        element.text = f"\n\t{(element.text or '').strip()}\n  "
        if element.tag == "timestep":
            element.text = f" {float(element.text) / ATOMIC_FS!r} "
            del element.attrib["units"]
        if element.tag == "nmts":
            element.text = element.text.replace(",", "\t,\n").replace("]", " ]")
        if element.tag == "parameters":
            given = element.text.strip().strip("{}").split(",")
            element.text = "{" + " ,\n ".join(item.replace(":", " :\t", 1) for item in given[::-1])
            element.text += " }"
        if len(element):
            element.insert(0, ElementTree.Comment("{model: other, role: none}"))
    text = ElementTree.tostring(root, encoding="unicode").replace("'", '"')
    path.write_text(f"<?xml version='1.0'?>\n<!-- by hand -->\n{text}\n<!-- end -->\n")
    return path


def copied(name: str, folder: Path) -> Path:
    """A scenario of which nothing is left as it was but the meaning."""
    folder.mkdir(parents=True)
    for file in (INPUTS / name).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder / "input.xml"


def meaning(element: ElementTree.Element) -> tuple:
    """What an element says; its own time in fs."""
    text = "".join((element.text or "").split())
    attributes = {key: value.strip() for key, value in element.attrib.items()}
    if element.tag == "timestep":
        factor = 1.0 if attributes.pop("units", "") == "femtosecond" else ATOMIC_FS
        text = f"{float(text) * factor:.8f}"
    if element.tag == "parameters":
        text = sorted(text.strip("{}").split(","))
    children = sorted((meaning(child) for child in element), key=str)
    return element.tag, sorted(attributes.items()), text, children


def means(path: Path) -> tuple:
    return meaning(ElementTree.parse(path).getroot())


@pytest.fixture(params=SCENARIOS)
def both(request, tmp_path):
    """A scenario, and the same one written anew, in a folder of the same name."""
    plain = copied(request.param, tmp_path / "plain" / "x")
    return plain, reformatted(copied(request.param, tmp_path / "anew" / "x"))


def facts(source: IpiInput) -> dict:
    return {
        "sockets": source.sockets,
        "systems": [(s.prefix, s.beads, s.forces, s.fixed_coordinates) for s in source.systems],
        "fixes_centre_of_mass": [s.fixes_centre_of_mass for s in source.systems],
        "modes": [[m.mode for m in s.motions] for s in source.systems],
        "ensemble": source.ensemble,
        "nmts": source.nmts,
        "steps": (source.step, source.total_steps, source.inner_steps, source.replicas),
        "virial": (source.needs_virial, source.shows_virial, source.is_dynamics),
        "without_energy": source.without_energy,
        "outputs": (
            source.outputs.prefix,
            [(o.kind, o.filename, o.stride, o.quantities) for o in source.outputs.items],
        ),
        "properties": source.files.properties_of("").name,
    }


def test_input_says_the_same_however_it_is_written(both):
    plain, anew = (IpiInput.read(path) for path in both)
    assert facts(anew) == facts(plain)
    assert anew.timestep_fs == pytest.approx(plain.timestep_fs, rel=1e-7)
    assert not anew.path.read_text().startswith("<simulation")  # the twin: it is not the same file


@pytest.mark.parametrize("name", CORRECTED)
def test_tune_input_is_the_same_of_a_reformatted_scenario(tmp_path, name):
    made = []
    for place, change in (("plain", lambda path: path), ("anew", reformatted)):
        path = change(copied(name, tmp_path / place))
        source = MtsInput(IpiInput.read(path))
        for forces in FORCES:
            for ensemble in ("nve", "svr"):
                stride = 4 if forces == "mts" else 1
                settings = RunSettings(
                    forces, 0.25, 0.01, stride=stride, ensemble=ensemble, every=2, gap=True
                )
                start = path.with_name(source.source.systems[0].initials[0].value)
                species = ase.io.read(start).get_chemical_symbols()[:1]
                run = source.write(settings, tmp_path / "run", species=species)
                text = run.read_text().replace(f"/{place}/", "/")
                made.append((place, meaning(ElementTree.fromstring(text))))
        recommended = source.recommended(0.25, 6).write(tmp_path / "recommended.xml")
        made.append((place, means(recommended)))
    one, other = ([m for p, m in made if p == place] for place in ("plain", "anew"))
    assert one == other
    assert len({str(m) for m in one}) == 7  # the twin: they are not all one input


@pytest.mark.parametrize("mode", FORCES)
@pytest.mark.parametrize("way", [None, "metatomic water.pt"])
def test_bench_input_is_the_same_of_a_reformatted_scenario(tmp_path, mode, way):
    made = []
    for name in ("plain", "anew"):
        path = copied("water_npt_mts", tmp_path / name)
        if name == "anew":
            reformatted(path)
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        base = Base(path, 4)
        assert (base.model, base.beads, base.stride) == ("water", 1, 4)
        made.append(means(base.write(folder, Setup(mode, 2, 192), way)))
    assert made[0] == made[1]


def test_validate_names_its_model_in_a_reformatted_scenario(tmp_path):
    """A scenario that was copied before and edited by hand is taken with the plan's model."""
    plan = ValidationOptions(model="python:toy:toy", molecules=32)
    reformatted(copied("water_nve_mts", tmp_path / "water_nve_mts"))
    source = subject_of(plan, tmp_path).source.source
    assert [s.parameters["model"] for s in source.sockets] == ["python:toy:toy"] * 2
    assert (source.nmts, source.timestep_fs) == ((1, 8), pytest.approx(4.0))
    written = IpiInput.read(tmp_path / "water_nve_mts" / "input.xml")
    assert facts(written) == facts(source)
