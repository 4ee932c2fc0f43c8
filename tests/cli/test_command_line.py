"""A command line that cannot be right: one line on standard error, and nothing done."""

import subprocess

import pytest
from commands import halfkick
from simulation import HALFKICK


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train"], "Missing argument"),
        (["run", "--bogus"], "No such option"),
        (["nosuch"], "No such command 'nosuch'"),
        (["tune", "input.xml", "--threads", "0"], "'--threads'"),
        (["run", "water_nve_mts", "--steps", "-3"], "'--steps'"),
        (["train", "data.xyz", "--minutes", "long"], "'--minutes'"),
        (["train", "data.xyz", "--out"], "'--out' requires an argument"),
    ],
)
def test_command_line_errors_are_one_line(words, said, tmp_path):
    ended = halfkick(tmp_path, *words)
    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert line.startswith("halfkick: error: ")
    assert said in line
    assert line.endswith("--help")
    assert not list(tmp_path.iterdir())


def test_command_line_without_words_shows_the_commands(tmp_path):
    ended = halfkick(tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == ""
    assert "distill" in ended.stdout


@pytest.mark.parametrize("words", [["--version"], ["compare", "nowhere"]])
def test_command_line_in_a_process_is_that_of_the_tests(words, tmp_path):
    """Which run most commands in their own process."""
    command = [*HALFKICK, *words]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    here = halfkick(tmp_path, *words)
    assert (ended.returncode, ended.stdout) == (here.returncode, here.stdout)
    assert ended.stderr == here.stderr
