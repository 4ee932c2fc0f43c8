"""Errors against time, of metatrain's own training: read from what a real one leaves."""

import csv
import re
import subprocess
import sys

import labelled
import pytest
from simulation import ENVIRONMENT

from halfkick.models.train.curves import draw, read_history, time_to_reach

OPTIONS = """
architecture:
  name: pet
  model: {cutoff: 3.0, d_pet: 8, d_head: 8, d_node: 8, d_feedforward: 8, num_heads: 1,
          num_attention_layers: 1, num_gnn_layers: 1}
  training: {batch_size: 8, num_epochs: 3, learning_rate: 0.001}
device: cpu
"""
PART = """
PART_set:
  systems: {read_from: PART.xyz, length_unit: angstrom}
  targets: {energy: {key: energy, unit: eV, forces: {key: forces}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("metatrain")
    options = OPTIONS
    for seed, part in enumerate(("training", "validation", "test")):
        labelled.write(path / f"{part}.xyz", labelled.frames(16, seed=seed))
        options += PART.replace("PART", part)
    (path / "options.yaml").write_text(options)
    command = [sys.executable, "-m", "metatrain", "train", "options.yaml"]
    done = subprocess.run(command, cwd=path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return path


def test_training_curves_read_the_history_of_metatrain(folder):
    """The errors are those of the table that it leaves beside its log, which has no times."""
    (table,) = folder.rglob("train.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    told = [float(row["validation forces RMSE"]) for row in rows[1:]]  # the first has units
    history = read_history(folder)
    assert [h["errors"]["forces"] for h in history] == pytest.approx(told)
    assert len(told) == 3


def test_training_curves_count_time_from_the_start(folder, tmp_path):
    """The toy takes less than the log's seconds tell: its epochs are moved to later hours."""
    (log,) = folder.rglob("train.log")
    lines, epoch = [], 0
    for line in log.read_text().splitlines():
        if line.endswith("- Starting training"):
            line = re.sub(r"\[[^]]*\]", "[2026-01-01 23:00:00]", line, count=1)
        if "- Epoch:" in line:
            line = re.sub(r"\[[^]]*\]", f"[2026-01-02 0{epoch}:00:30]", line, count=1)
            epoch += 1
        lines.append(line)
    (tmp_path / "train.log").write_text("\n".join(lines))
    assert [h["time_s"] for h in read_history(tmp_path)] == [3630, 7230, 10830]


def test_training_curves_tell_the_time_to_reach_an_error(folder):
    history = read_history(folder)
    best = min(h["errors"]["forces"] for h in history)
    first = next(h for h in history if h["errors"]["forces"] == best)
    assert time_to_reach(history, "forces", best) == first["time_s"]
    assert time_to_reach(history, "forces", 0.99 * best) is None
    assert time_to_reach(history, "direct", 1e9) is None


def test_training_curves_are_drawn(folder, tmp_path):
    draw([folder], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
