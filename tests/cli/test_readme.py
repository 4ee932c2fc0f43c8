"""The README speaks of what is there: commands, options, scenarios, files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from simulation import ENVIRONMENT, HALFKICK

from halfkick.driver.cli import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SCENARIOS = {p.parent.name for p in (ROOT / "ipi_inputs").glob("*/input.xml")}


def help_of(command: str) -> str:
    environment = ENVIRONMENT | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [*HALFKICK, command, "--help"], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("command", [command.__name__ for command in COMMANDS])
def test_every_command_is_named_with_options_that_exist(command):
    text = help_of(command)
    rows = [line for line in README.splitlines() if line.startswith(f"| `halfkick {command} ")]
    assert rows
    options = set(re.findall(r"--[a-z-]+", " ".join(rows)))
    if command in ("run", "serve"):
        common = README.split("`run` and `serve` take ")[1].split("What belongs")[0]
        options |= set(re.findall(r"--[a-z-]+", common))
    assert not {option for option in options if option not in text}
    assert "--no-such-option" not in text


def test_the_version_is_that_of_the_package():
    done = subprocess.run([*HALFKICK, "--version"], capture_output=True, text=True, check=True)
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert done.stdout == f"halfkick {version[1]}\n"


def test_readme_of_the_scenarios_has_a_row_for_each():
    table = (ROOT / "ipi_inputs" / "README.md").read_text().partition("\n|---|")[2]
    rows = re.findall(r"^\| `(\w+)` \|", table.partition("\n\n")[0], re.MULTILINE)
    assert sorted(rows) == sorted(SCENARIOS)


def test_readme_runs_scenarios_that_exist():
    rooms = ("driver", "models", "ipi_inputs", "tests")
    pages = [ROOT / "README.md", *(page for r in rooms for page in (ROOT / r).rglob("README.md"))]
    texts = [page.read_text() for page in pages]
    names = {name for text in texts for name in re.findall(r"halfkick run (\w+_\w+)", text)}
    assert names <= SCENARIOS


def test_linked_files_exist():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert len(links) > 4
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_two_commands_are_those_of_ci():
    assert README.count("<!-- run -->") == README.count("<!-- tests -->") == 1
    assert "README.md" in (ROOT / ".ci" / "run").read_text()
