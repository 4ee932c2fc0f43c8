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


def test_the_table_of_scenarios_is_complete():
    table = README.partition("## Scenarios")[2].partition("##")[0]
    assert set(re.findall(r"^\| `(water_\w+)` ", table, re.MULTILINE)) == SCENARIOS


def test_linked_files_exist():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert len(links) > 4
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_two_commands_are_those_of_ci():
    assert README.count("<!-- run -->") == README.count("<!-- tests -->") == 1
    assert "README.md" in (ROOT / ".ci" / "run").read_text()
