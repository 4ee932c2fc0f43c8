"""The pages speak of what is there: commands, options, modules, scenarios, files, inputs."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import shlex
import subprocess
from pathlib import Path

import ase.io
import pytest
import toy
import typer.main
from commands import halfkick
from simulation import ENVIRONMENT, HALFKICK

from halfkick.driver.cli import COMMANDS, app
from halfkick.models.registry import KINDS

ROOT = Path(__file__).parents[2]
ROOMS = ("driver", "models", "ipi_inputs", "tests")
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (
        ROOT / "README.md",
        *(p for room in ROOMS for p in sorted((ROOT / room).rglob("README.md"))),
    )
}
FRONT = PAGES["README.md"]
SCENARIOS = {p.parent.name for p in (ROOT / "ipi_inputs").glob("*/input.xml")}
FOREIGN = {"--nodes", "--ntasks-per-node", "--gpus-per-node", "--index-url"}  # Slurm's and pip's


def options_of(command) -> set[str]:
    """Those of a command, or of all in a group."""
    own = {option for parameter in command.params for option in parameter.opts}
    return own.union(*map(options_of, getattr(command, "commands", {}).values()))


OPTIONS = {
    name: options_of(command) for name, command in typer.main.get_command(app).commands.items()
}
"""Of each command, as the command line takes them."""

each_page = pytest.mark.parametrize("page", PAGES)


def rows_of(page: str, command: str) -> list[str]:
    return [line for line in PAGES[page].splitlines() if line.startswith(f"| `halfkick {command}")]


FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code(text: str, *languages: str) -> list[str]:
    """The blocks of code in these languages."""
    return [block for language, block in FENCE.findall(text) if language in languages]


def commands_on(page: str) -> list[tuple[str, list[str]]]:
    """Every ``halfkick COMMAND …`` of a page, in blocks of code and in lines: command and words."""
    text = PAGES[page].replace("\\\n", " ")
    spans = [span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", FENCE.sub("", text))]
    lines = [line for block in code(text, "bash", "") for line in block.splitlines()] + spans
    found = []
    for line in lines:
        for said in re.findall(r"(?:^|[\s/])halfkick ([a-z]+(?: [^&|;#]*)?)", line):
            command, *words = shlex.split(said)
            found.append((command, words))
    return found


def anchors(text: str) -> set[str]:
    """The headings of a page as a forge links to them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("command", [command.__name__ for command in COMMANDS])
def test_readme_names_every_command_with_options_that_exist(command, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = halfkick(tmp_path, command, "--help").stdout
    assert len(rows_of("README.md", command)) == 1
    rows = rows_of("driver/README.md", command)
    assert len(rows) == 1
    options = set(re.findall(r"--[a-z-]+", " ".join(rows)))
    if command in ("run", "serve"):
        page = PAGES["driver/README.md"]
        common = page.split("`run` and `serve` take ")[1].split("What belongs")[0]
        options |= set(re.findall(r"--[a-z-]+", common))
    assert not {option for option in options if option not in text}
    assert not options - OPTIONS[command]
    assert "--no-such-option" not in text


def test_readme_of_the_driver_leaves_no_option_out():
    page = PAGES["driver/README.md"]
    common = page.split("`run` and `serve` take ")[1].split("What belongs")[0]
    for command, options in OPTIONS.items():
        own = PAGES.get(f"models/{command}/README.md", "")
        own += PAGES["driver/server/README.md"] if command == "serve" else ""
        told = " ".join([*rows_of("driver/README.md", command), common, own])
        named = set(re.findall(r"--[a-z-]+", told)) | {"--help"}
        assert not {option for option in options if option.startswith("--")} - named, command


def test_version_is_that_of_the_package(tmp_path):
    done = halfkick(tmp_path, "--version")
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert (done.stdout, done.stderr) == (f"halfkick {version[1]}\n", "")


@each_page
def test_commands_of_pages_exist_with_their_options(page):
    for command, words in commands_on(page):
        assert command in OPTIONS, command
        options = {word for word in words if word.startswith("--")}
        assert not options - OPTIONS[command], command
        if command == "run":
            assert {word for word in words if re.fullmatch("[a-z]+(_[a-z]+)+", word)} <= SCENARIOS


def test_commands_are_found_on_pages():
    """The search above finds something, in blocks and in lines, and would find a mistake."""
    found = [command for page in PAGES for command, _ in commands_on(page)]
    assert set(found) == set(OPTIONS)
    assert ("run", ["water_nvt_mts", "--restart"]) in commands_on("README.md")
    assert ("serve", ["input.xml", "--device", "cuda"]) in commands_on("driver/server/README.md")


@each_page
def test_options_of_pages_exist(page):
    known = set().union(*OPTIONS.values(), FOREIGN)
    for program in set(re.findall(r"python (?:-m )?([\w./]+)", PAGES[page])):
        known |= set(re.findall(r'"(--[a-z-]+)"', source_of(program, page)))
    unknown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGES[page])) - known
    assert not unknown


def source_of(program: str, page: str) -> str:
    """The source of a program of ours, by its path or as a module; empty if it is none of ours."""
    for path in (ROOT / program, (ROOT / page).parent / program):
        if path.is_file():
            return path.read_text()
    spec = importlib.util.find_spec(program) if program.startswith("halfkick") else None
    return Path(spec.origin).read_text() if spec else ""


@each_page
def test_modules_and_names_of_pages_can_be_imported(page):
    for module in re.findall(r"python -m (halfkick[\w.]*)", PAGES[page]):
        assert importlib.util.find_spec(module), module
    for name in re.findall(r"(?<![\w.-])halfkick(?:\.[A-Za-z_]\w*)+", PAGES[page]):
        parts = name.split(".")
        for count in range(len(parts), 0, -1):
            module = ".".join(parts[:count])
            if module == "halfkick" or find_spec(module):
                break
        value = importlib.import_module(module)
        for part in parts[count:]:
            value = getattr(value, part)


def find_spec(module: str) -> object:
    try:
        return importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None


@each_page
def test_programs_of_pages_exist(page):
    folder = (ROOT / page).parent
    for program in re.findall(r"python ((?!-)[\w./]+\.py)", PAGES[page]):
        assert (ROOT / program).is_file() or (folder / program).is_file(), program


@each_page
def test_links_of_pages_lead_somewhere(page):
    folder = (ROOT / page).parent
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", PAGES[page]):
        name, _, anchor = link.partition("#")
        target = (folder / name).resolve() if name else ROOT / page
        assert target.exists(), link
        if target.is_dir():
            assert (target / "README.md").is_file(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


def test_front_page_leads_to_every_page():
    """From the front page by links, through pages and folders."""
    reached, todo = set(), ["README.md"]
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", PAGES[page]):
            target = ((ROOT / page).parent / link).resolve()
            target = target / "README.md" if target.is_dir() else target
            name = str(target.relative_to(ROOT))
            if name in PAGES:
                todo.append(name)
    assert reached == set(PAGES)


def test_front_page_fits_on_a_screen():
    assert 6000 <= len(FRONT.encode()) <= 8000


def test_readme_lists_every_scenario():
    table = PAGES["ipi_inputs/README.md"]
    assert set(re.findall(r"^\| `(\w+)` ", table, re.MULTILINE)) == SCENARIOS


def test_tables_of_models_are_complete():
    """All kinds on the page of the models; on the front page what ships, and no other kinds."""
    shipped = {p.parent.name for p in (ROOT / "models").glob("*/*.pt")}
    for page in ("README.md", "models/README.md"):
        section = PAGES[page].partition("## Models" if page == "README.md" else "## Kinds")[2]
        rows = [row for row in section.partition("\n## ")[0].splitlines() if row.startswith("|")]
        assert shipped <= {name for row in rows for name in re.findall(r"`(\w+)`", row)}, page
        assert not {kind for row in rows for kind in re.findall(r"`(\w+):", row)} - set(KINDS), page
        if page == "models/README.md":
            named = {name for row in rows for name in re.findall(r"`([a-z0-9]+)[:`?]", row)}
            assert set(KINDS) <= named
            assert {kind.extra for kind in KINDS.values()} - {""} <= named


def test_extras_are_all_named():
    section = (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]\n")[1]
    extras = set(re.findall(r"^(\w+) = \[", section.split("\n\n")[0], re.MULTILINE))
    install = FRONT.partition("## Install")[2].partition("\n## ")[0]
    assert "so3lr" in extras
    of_kinds = {kind.extra for kind in KINDS.values()}  # the table of models has them
    assert not {extra for extra in extras - of_kinds if extra not in install}
    assert "[models](#models)" in install


def test_readme_commands_are_those_of_ci():
    assert FRONT.count("<!-- run -->") == FRONT.count("<!-- tests -->") == 1
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_input_of_the_front_page_runs(tmp_path):
    """Through real i-PI, with only the model, the structure and the addresses changed."""
    (xml,) = (block for block in code(FRONT, "xml") if "<simulation" in block)
    atoms = toy.atoms()
    atoms.wrap()
    ase.io.write(tmp_path / "start.xyz", atoms)
    xml = xml.replace("pet-mad.pt", "python:toy:toy")
    path = tmp_path / "input.xml"
    path.write_text(re.sub(r"my_(\w+)", rf"{tmp_path.name}_\1", xml))
    done = subprocess.run(
        [*HALFKICK, "run", "input.xml", "--steps", "3", "--threads", "1"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["state"], summary["steps"]) == ("finished", 3)
    assert summary["temperature_K"] > 0
    counts = summary["evaluations"]
    assert counts["direct"] + counts["both"] == 1 + 3 * 6  # one of the start
    assert counts["conservative"] + counts["both"] == 1 + 3
    assert 3 <= summary["predictions"]["hits"] <= 4  # one of the start, if both come at once


def test_model_of_the_guide_passes_the_contract():
    """The blocks of "Add a model", run as they stand."""
    guide = PAGES["models/README.md"].partition("## Add a model")[2].partition("\n## ")[0]
    model, row, check = code(guide, "python")
    names = {}
    exec(compile(model, "springs.py", "exec"), names)
    exec(compile(check, "check.py", "exec"), names)
    registry = vars(importlib.import_module("halfkick.models.registry"))
    kinds = eval("{" + row + "}", dict(registry))
    assert kinds["springs"].init_options == ("k",)
