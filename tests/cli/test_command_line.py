"""A command line that cannot be right: one line on standard error, and nothing done."""

import subprocess
import sys

import pytest


def halfkick(folder, *words):
    command = [sys.executable, "-m", "halfkick.driver", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


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


def test_command_line_that_is_right_says_no_error(tmp_path):
    ended = halfkick(tmp_path, "--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("halfkick ")
