"""``halfkick movie``: what of a run stands in which picture, and how atoms are drawn."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from PIL import Image
from running import run
from simulation import ENVIRONMENT, HALFKICK, Case, properties, simulate, write

from halfkick.driver.errors import InputError
from halfkick.driver.study.movie.film import Film, caption, duration
from halfkick.driver.study.movie.scene import Scene, place
from halfkick.driver.study.movie.shapes import balls, bonds
from halfkick.driver.study.movie.take import open_takes
from halfkick.driver.study.movie.write import check_suffix
from halfkick.driver.study.movie.write import write as write_film

STEPS = 8


def movie(folder, *words):
    return subprocess.run(
        [*HALFKICK, "movie", *words],
        cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def often(xml):
    """Every frame, and i-PI's time of every step."""
    xml = re.sub(r"<trajectory stride='\d+'", "<trajectory stride='1'", xml)
    return xml.replace("verbosity='low'", "verbosity='high'")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run with all its steps, one that a guard stops, one of three beads."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("mts", "direct", "beads"):
        (folder / name).mkdir()
    simulate(folder / "mts", Case(steps=STEPS), edit=often)
    simulate(folder / "beads", Case(steps=2, ensemble="pile", beads=3), edit=often)
    xml = write(folder / "direct", Case(steps=STEPS, roles=("direct",), strides=(1,)))
    weak = often(xml.read_text()).replace("role: direct", "role: direct, max_force: 1e-3")
    xml.write_text(weak.replace("role: direct", "role: direct, energy: model"))
    code, _, said = run(folder / "direct")
    assert code == 1 and "max_force" in said
    return folder


def test_movie_shows_runs_that_move_side_by_side(runs):
    done = movie(runs, "mts", "direct", "--seconds", "1", "--fps", "6", "--size", "150")
    assert done.returncode == 0, done.stderr
    with Image.open(runs / "movie.gif") as film:
        assert (film.n_frames, film.width) == (6, 300)
        pictures = []
        for k in range(6):
            film.seek(k)
            pictures.append(np.array(film.convert("RGB")).astype(int))
    assert (pictures[0][0, 0] == 255).all()
    moved = np.abs(pictures[5] - pictures[0]).max(axis=2) > 50
    middle = slice(40, moved.shape[0] // 2)
    assert moved[middle, :150].any() and moved[-140:].any()  # atoms, and the trace


def test_movie_shows_the_row_and_the_frame_of_each_time(runs):
    (take,) = open_takes([runs / "mts"])
    told = properties(runs / "mts")
    (file,) = (runs / "mts").glob("simulation.pos*.extxyz")
    frames = ase.io.read(file, ":")
    assert len(frames) == len(told["time"]) == STEPS + 1
    half = 0.5 * take.times[1]
    for k, (time, temperature) in enumerate(zip(told["time"], told["temperature"], strict=True)):
        for now in (take.times[k], take.times[k] + half):
            assert take.row(now, "time") == k
            assert np.array_equal(take.beads(now, "time")[0].positions, frames[k].positions)
            assert f"{time:.3f} ps" in caption(take, now, "time")
            assert f"{temperature:.0f} K" in caption(take, now, "time")
    change = (told["conserved"] - told["conserved"][0]) * 1e3 / len(frames[0])
    assert take.change == pytest.approx(change)


def test_movie_holds_the_last_frame_of_a_run_that_was_stopped(runs):
    longer, stopped = open_takes([runs / "mts", runs / "direct"], ["a", "b"])
    end = longer.end("time")
    assert stopped.end("time") < end and stopped.has_failed
    assert stopped.row(end, "time") == len(stopped.times) - 1
    last = stopped.frames.beads[0][-1].positions
    assert np.array_equal(stopped.beads(end, "time")[0].positions, last)
    assert "stopped by a guard" in caption(stopped, end, "time")
    assert "guard" not in caption(stopped, 0.0, "time")


def test_movie_takes_wall_times_from_what_ipi_noted(runs):
    (take,) = open_takes([runs / "mts"])
    log = (runs / "mts" / "i-pi.log").read_text()
    of_steps = [float(line.split("t/step:")[1]) for line in log.splitlines() if "t/step:" in line]
    assert len(of_steps) == STEPS
    assert take.wall_s == pytest.approx([0.0, *np.cumsum(of_steps)])
    now = 0.5 * sum(of_steps)
    row = take.row(now, "wall")
    assert take.wall_s[row] <= now < take.wall_s[row + 1]
    assert f"after {duration(take.wall_s[row])}" in caption(take, now, "wall")


def test_movie_by_wall_time_needs_it(runs, tmp_path):
    shutil.copytree(runs / "mts", tmp_path / "run")
    (tmp_path / "run" / "i-pi.log").unlink()
    (take,) = open_takes([tmp_path / "run"])
    assert "after" not in caption(take, 0.0, "time")
    with pytest.raises(InputError, match="expected wall times of 'run'"):
        take.end("wall")


def test_movie_shows_a_run_that_goes_on_as_far_as_it_is(runs, tmp_path):
    shutil.copytree(runs / "mts", tmp_path / "run")
    (file,) = (tmp_path / "run").glob("simulation.pos*.extxyz")
    text = file.read_text()
    file.write_text(text[: int(0.6 * len(text))])  # within a frame
    (take,) = open_takes([tmp_path / "run"])
    assert len(take.frames.times) == int(0.6 * (STEPS + 1))
    assert take.ending == "" and not take.is_over(take.end("time"), "time")


def test_movie_ends_where_numbers_do(runs, tmp_path):
    shutil.copytree(runs / "mts", tmp_path / "run")
    file = tmp_path / "run" / "simulation.out"
    *rows, last = file.read_text().splitlines()
    step, *others = last.split()
    file.write_text("\n".join([*rows, " ".join([step, others[0], *["nan"] * len(others[1:])]), ""]))
    (take,) = open_takes([tmp_path / "run"])
    assert len(take.times) == STEPS
    assert take.has_failed and "diverged" in caption(take, take.end("time"), "time")


def test_movie_draws_all_beads(runs):
    takes = open_takes([runs / "beads"])
    assert len(takes[0].beads(0.0, "time")) == 3
    film = Film(takes, "time", 2, "-80x,-10y", 150)
    first, last = film.draw(0).astype(int), film.draw(1).astype(int)
    assert first.shape == last.shape and np.abs(first - last).max() > 50


def test_movie_places_atoms_in_the_cell_where_it_is_periodic():
    first = Atoms("H3", [[1, 1, 1], [9.9, 5, 5], [-11, 5, 14]], cell=[10, 10, 10])
    later = first.copy()
    later.positions += [[-2.4, 0, 0], [0.3, 0, 0], [0, 0, 9]]
    slab = np.array([True, True, False])
    assert place(first, first, slab) == pytest.approx(
        np.array([[1, 1, 1], [-0.1, 5, 5], [9, 5, 14]])
    )
    assert place(later, first, slab) == pytest.approx(
        np.array([[-1.4, 1, 1], [0.2, 5, 5], [9, 5, 23]])
    )
    later.positions[0, 0] -= 0.2  # far enough out to come in on the other side
    assert place(later, first, slab)[0] == pytest.approx([8.4, 1, 1])


def test_movie_bonds_molecules_across_faces_but_no_metals():
    water = molecule("H2O", cell=[6, 6, 6], pbc=True)
    water.center()
    assert len(bonds(water)) == 4  # a half from each end
    water.positions -= water.positions[0]
    water.wrap()
    assert len(bonds(water)) == 4
    water.pbc = False
    assert len(bonds(water)) < 4
    assert bonds(bulk("Fe", cubic=True) * (2, 2, 2)) == []


def test_movie_draws_what_is_in_front_last_and_in_the_colour_of_its_element():
    from ase.data.colors import jmol_colors

    ball, light = balls(Atoms("N", [[1, 2, 3]]))
    assert np.array_equal(ball.face, jmol_colors[7])
    assert ball.outline.mean(axis=0) == pytest.approx([1, 2])
    assert light.depth > ball.depth


def test_movie_sees_the_whole_cell_from_the_side_that_is_asked(runs):
    (take,) = open_takes([runs / "mts"])
    assert take.periodic.all()
    extent = np.abs(take.frames.beads[0][0].cell.array).sum(axis=0)
    for rotation, seen in (("", [0, 1, 2]), ("-90x", [0, 2, 1]), ("-90x,90y", [1, 2, 0])):
        size = np.ptp(Scene(take, rotation).bounds, axis=0)
        assert size == pytest.approx(extent[seen] + 2)  # 1 Å around it


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "expected an i-PI input file"),
        (["mts", "--out", "film.avi"], "expected a file that ends in .gif or .mp4"),
        (["mts", "--labels", "a,b"], "expected a label for each run, got 2 for 1"),
        (["mts", "--rotation", "aside"], "expected a rotation as ASE writes it, got 'aside'"),
    ],
)
def test_movie_refuses_in_one_line(runs, words, said):
    done = movie(runs, *words)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert said in line


def test_movie_refuses_a_run_without_frames(runs, tmp_path):
    shutil.copytree(runs / "mts", tmp_path / "run")
    for file in (tmp_path / "run").glob("simulation.pos*"):
        file.unlink()
    with pytest.raises(InputError, match="expected a trajectory of positions in"):
        open_takes([tmp_path / "run"])


def test_movie_names_the_extra_for_mp4(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(InputError, match=r'pip install "halfkick\[movie\]"'):
        check_suffix(tmp_path / "film.mp4")


@pytest.mark.extra("imageio_ffmpeg")
def test_movie_writes_mp4(runs, tmp_path):
    from imageio_ffmpeg import count_frames_and_secs

    film = Film(open_takes([runs / "mts"]), "time", 6, "-80x", 151)
    write_film(tmp_path / "film.mp4", film.draw, 6, 6.0)
    assert count_frames_and_secs(str(tmp_path / "film.mp4"))[0] == 6 + 9  # the last one is held
